"""A run on disk: run_folder.py (names and contents), checkpoint.py, scores.py, best.py (the best checkpoint).

earlier.py: which runs lie in a workspace already.
"""
