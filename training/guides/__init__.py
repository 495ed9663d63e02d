"""Frozen models that guide a run: read.py finds and builds them, prototypes.py makes prototypes of their features."""

from training.guides.read import frozen_models

__all__ = ["frozen_models"]
