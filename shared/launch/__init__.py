"""Where work runs: executors.py maps a function over items, launch.py starts a gang and waits for it.

child_processes.py are those of this machine · gpus.py: which GPUs there are, and which process sees which
progress.py: the events that say how far work is.
cluster/ finds this machine's place in a gang · command.py: what starts its processes
relay.py passes on what they print · stuck.py says whom they wait for
mirror.py: where a gang works when the workspace is in an object store.
worker.py is one process of a gang · supervisor.py stands between, so that no process outlives its parent
stop_signals.py: what asks to stop, and the exit code that says so.
"""
