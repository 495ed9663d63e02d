"""One decode of an image, and everything that is measured of it.

remembered.py leaves out the files that were measured before, contents.py the contents
measure.py goes through the other images of a part · decoders.py decodes on several cores beside a GPU
small.py is what is left of an image's pixels, and what it tells · quality_signals.py are the numbers that rules look at
phash.py are our hashes in eight orientations, hashes.py other kinds.
"""
