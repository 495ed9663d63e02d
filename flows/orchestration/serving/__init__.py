"""What `dinoflow serve` and `dinoflow deploy` are made of.

registry.py is the user's file · deployments.py and automations.py put it on a server, and leave what the pages changed
server.py starts one, guarded_server.py lets no other page in, reports.py shows reports beside the pages, asgi.py is how
 the two talk, server_settings.py what any server of ours takes in
temporary_server.py is one for a single command
history.py copies Prefect's database before another Prefect opens it · worker.py runs what is triggered, and stops well.
"""
