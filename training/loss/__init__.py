"""DINOv2's objective: losses.py (DINO, iBOT, KoLeo, each beside the loop that it stands for, and their sum).

targets.py: Sinkhorn-Knopp or centring of the teacher's scores · cross_entropy.py: in chunks, so that memory is saved
"""
