"""Curation: from a listing of sources to a published dataset. `stages.py` is the table of contents.

sources/ lists and reads files · index.py numbers them · measure/ decodes each once, with embedders/ and models/
quality/ judges an image by its own signals · dedup/ finds copies; its geometry/ lays one picture over another
balance/ thins out what is frequent · publish/ decides, packs shards and commits a version
params/ is what results depend on, beside tables · arrays/ names array types, and has k-means
Nothing here knows Prefect.
"""
