"""What lies ahead of a recipe: no image is read for it.

plan.py, costs.py, text.py: what it will take, by arithmetic · unit_costs.py: curation, from what was measured
 deviations.py: what is not as in DINOv2
 status.py: what of it is done · causes.py: why not all.
"""
