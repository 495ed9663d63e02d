"""What each command does, without Prefect in the way of its help: one file for each act.

pipeline.py: run, curate, single stages, results.py: their last lines
in_prefect.py: starts a flow where there is work · the others: the command of their name
find_run.py: the run that a command is about, on a disk or in an object store
escape.py: names as they may be shown
console.py: what a person at a terminal sees meanwhile · live_rows.py: the part of it that moves.
"""
