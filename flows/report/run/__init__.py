"""The page of a training run: report.py puts together what the other files read and draw.

read.py reads a run's files · curves.py, training.py: losses and alarms · scores.py, score_table.py, comparison.py
verdict.py, summary.py: did it learn · snapshots.py: what it sees.
"""
