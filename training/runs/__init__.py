"""A run on disk: run_folder.py (names and contents), checkpoint.py, scores.py, best.py (the best checkpoint)."""
