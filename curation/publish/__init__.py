"""From decisions to a published version.

select.py decides for every image · pack.py, exif.py and shard_writer.py put originals into tar shards
publish.py commits the version with its counts and lineage.py · read_back.py finds the original bytes of an image again.
"""
