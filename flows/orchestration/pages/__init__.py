"""What Prefect's pages show of a run.

artifacts.py: what was made, with pictures · report_links.py: the way to a report from any machine
run_names.py: what a run is called · run_log.py: lines and bars while it is at work
live_training.py: a training's curves as they grow · confirmed_events.py: nothing is lost when a flow's process ends.
"""
