"""A vision transformer's weights from wherever they come, under one set of names: timm's.

Used to start a run from, to evaluate and to export. weights.py says what they are, reading.py finds out whose they are
dinov2.py, hf_dinov2.py, timm_vit.py, exported.py, run.py: one file for each origin
guides/ builds the frozen models that guide a run
files.py opens tensors, architecture.py and positions.py fit them to a model, content.py names them.
"""

from training.weights.reading import read_weights
from training.weights.weights import Weights

__all__ = ["Weights", "read_weights"]
