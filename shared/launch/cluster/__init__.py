"""Where this command stands among those that train one run together.

find_place.py asks the launcher of the recipe · place.py: what a place is · slurm.py: by SLURM_*
kubernetes.py: by what Kubernetes and PyTorch set · variables.py reads them, and names the one that is missing.
"""
