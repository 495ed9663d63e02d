"""The pipeline as commands and Prefect flows: the only package that knows Prefect.

recipe/ is what a run depends on · session.py and pipeline.py go from stage to stage · follow.py scores while training
cli/ parses, commands/ does what it asks for · orchestration/ are Prefect's flows, tasks and server
inspect/ explains images and compares versions · plan/ prices a recipe · ablation/ asks whether a rule helps
report/ draws pages · demo/ draws a corpus and runs everything on it.
"""
