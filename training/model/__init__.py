"""The network: vit.py (with iBOT's mask token), blocks.py, drop_path.py (stochastic depth), packed_crops.py and
dino_head.py.
student_teacher.py holds the student, its EMA teacher and `update_ema`.
"""
