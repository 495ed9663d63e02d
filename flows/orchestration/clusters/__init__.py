"""Where parts are made: processes of this machine, or the workers of a cluster. Results are the same to the byte.

machines.py chooses by `compute.runner` · dask_cluster.py and ray_cluster.py start a cluster or join one
offers.py says what work may hold of a worker
Each works without Prefect (`map`) and gives Prefect its task runner.
"""
