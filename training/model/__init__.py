"""The network, four files: student_teacher.py, vit.py (with iBOT's mask token), drop_path.py, blocks.py.

student_teacher.py holds backbone and DINO heads, the EMA teacher and `update_ema`; drop_path.py holds stochastic depth
and how crops of several sizes are packed; blocks.py holds attention and MLP. frozen.py: models that guide a student,
cut.py: a smaller model out of the parts of a larger one.
"""
