"""Prefect: flows.py and ablation_flow.py are what a deployment imports, forms.py says what their fields mean.

engine.py makes subflows of stages, batches.py task runs of parts, clusters/ what does them
tasks.py trains and evaluates · artifacts.py shows results
credentials.py fetches secrets and keeps them out of logs
guarded_server.py lets no other page in · server_settings.py is what any server of ours takes in
serve.py starts the server with a deployment for every flow.
"""
