"""What lies ahead of a recipe, and what lies unused in a workspace: no image is read for it.

plan.py, costs.py, text.py: what it will take, by arithmetic · unit_costs.py: curation, from what was measured
storage.py: the disk, from the schemas of its tables · coordinator.py: the memory of one process
deviations.py: what is not as in DINOv2 · status.py: what of it is done · causes.py: why not all
needed.py: what versions need · garbage.py: what none does.
"""
