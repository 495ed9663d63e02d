"""Judging frozen models: evaluate.py takes checkpoints or any models, score_model.py asks one model every question.

protocols/ are the evaluations, math/ what they compute with, sets/ what they ask about, visualize/ the pictures
backbone.py, timm_backbone.py: feature extractors · features.py, embed.py, crops.py: images to features · params.py.
"""
