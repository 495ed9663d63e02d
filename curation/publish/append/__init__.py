"""Shards are only ever added: a version lists those that hold its images, and hides members that it does not keep.

section.py finds where images lie already · new_shards.py writes those that lie nowhere · section_tables.py tells the
version where each one is · append_version.py does one after the other · draft.py claims a version's number
compact.py repacks what is mostly hidden.
"""
