"""DINOv2's objective: objective.py adds up losses.py (DINO, iBOT, KoLeo, each beside the loop that it stands for).

teacher_targets.py and sinkhorn_knopp.py make the targets · cross_entropy.py and chunked_logits.py save memory.
"""
