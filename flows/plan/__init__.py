"""What a recipe will take, told before anything is spent: arithmetic on its parameters, no image is read.

plan.py is the plan and what looks wrong in it · costs.py the unit costs · text.py says it in words.
"""
