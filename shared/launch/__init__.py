"""Where work runs: executors.py maps a function over items, launch.py starts a gang and waits for it.

child_processes.py are those of this machine · needs.py: what work needs, and which GPUs there are
progress.py: the events that say how far work is.
worker.py is one process of a gang · supervisor.py stands between, so that no process outlives its parent.
"""
