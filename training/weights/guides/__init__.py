"""Frozen models that guide a run: read.py finds and builds them, prototypes.py makes prototypes of their features."""
