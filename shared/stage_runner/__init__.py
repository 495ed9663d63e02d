"""Runs a stage: names its parts, makes the missing ones, seals the whole. The only skip, resume and commit.

run.py is the one way in · pieces.py names what a stage is made of, by the columns that reading.py gives it
orders.py says what travels to a worker
name_lists.py: of many names that of their list · make.py makes one piece, in whatever process
memo.py remembers rows by their keys, in the files of memo_runs.py, aliases.py by other keys of theirs
shuffle.py gathers rows into buckets, slots.py are what it cuts · dry_run.py says beforehand what a run would make.
"""

from shared.stage_runner.dry_run import Forecast, forecast
from shared.stage_runner.orders import RowMemory
from shared.stage_runner.pieces import Rounds, SideFiles
from shared.stage_runner.run import idle, run

__all__ = ["Forecast", "Rounds", "RowMemory", "SideFiles", "forecast", "idle", "run"]
