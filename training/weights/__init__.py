"""A vision transformer's weights from wherever they come, under one set of names: timm's.

Used to start a run from, to evaluate and to export. `weights.py` says what they are, `reading.py` finds out whose they
are, and there is one module for each origin.
"""

from training.weights.reading import read_weights
from training.weights.weights import Weights

__all__ = ["Weights", "read_weights"]
