"""Scoring frozen models: evaluate.py takes checkpoints or any models, score_model.py runs every evaluation on them.

protocols/ are the evaluations, math/ what they compute with, sets/ what they score on, visualize/ the snapshots
backbone.py, timm_backbone.py: feature extractors · features.py, crops.py: images to features · embed.py: for curation
inputs.py: features beside what is true of them · pixel_baseline.py · params.py.
"""
