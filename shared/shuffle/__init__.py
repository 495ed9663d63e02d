"""Rows of all parts meet again by key: sorted files with seekable batches, in two passes, and nothing else.

Pass one turns a group of parts into one file that is sorted by key. Pass two reads a span of keys out of every such
file. A task's payload is a reference: which names it reads stands in a listing on storage.
"""
