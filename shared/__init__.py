"""What curation and training stand on; it knows no torch. Every table is on one page: catalog.py.

stage.py declares a stage, stage_runner/ runs one or says what a run would make · launch/ starts processes
tables.py are parts on storage, schema.py their shape · params.py what results depend on
storage/ a workspace, and its locks · dataset_version.py a published version · images/ decodes
errors.py are mistakes of a person who asks · splitmix.py draws chance from keys.
"""
