"""Prefect: a deployment imports flows.py, ablation_flow.py or gc_flow.py, forms.py makes recipes of their fields.

engine.py makes subflows of stages, batches.py task runs of parts, clusters/ what does them
tasks.py trains and evaluates · pages/ is what the pages show of it · taking_turns.py lets one run at a dataset
credentials.py fetches secrets and keeps them out of logs · serving/ is the server, its deployments and the worker.
"""
