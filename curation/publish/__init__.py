"""From decisions to a published version.

select.py decides for every image · pack.py puts the kept ones in order · publish.py commits the version, all or
nothing, with its counts.py and lineage.py; append/ adds shards, by shard_writer.py and exif.py
read_back.py finds the original bytes of an image again, or the thumbnail that was measured.
"""
