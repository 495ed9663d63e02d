"""What each command does, without Prefect in the way of its help: one file for each act.

pipeline.py: run, curate, single stages · evaluate.py, export.py, plan.py, status.py, ablate.py: those names
console.py: what a person at a terminal sees meanwhile · live_rows.py: the part of it that moves.
"""
