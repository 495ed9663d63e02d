"""What curation and training stand on; it knows no torch. Every table is on one page: catalog.py.

stage.py declares a stage, stage_runner/ runs one or says what a run would make · launch/ starts processes
tables/ are parts on storage, schema.py their shape · params.py what results depend on
storage/ a workspace, and its locks · dataset_version.py a published version · images/ decodes
errors/ are mistakes of a person who asks, and what none may tell · splitmix.py draws chance from keys.
"""
