"""The names of the files inside a checkpoint's folder."""

STATE = "state.pt"
"""All tensors."""
ABOUT = "checkpoint.json"
"""Checksum, step, why it is bad where it is, and, for the last one, the summary of the run."""
