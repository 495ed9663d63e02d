"""A run on disk: run_folder.py (names and contents), checkpoint.py, scores.py, best.py (the best checkpoint).

earlier.py: which runs lie in a workspace already · uploads.py: what a run in an object store sends there, when
checkpoint_files.py: the names inside a checkpoint.
"""
