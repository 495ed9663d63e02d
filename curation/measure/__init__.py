"""One decode of an image, and everything that is measured of it.

remembered.py leaves out what was measured before · measure.py goes through the other images of a part
decoders.py decodes on several cores beside a GPU
hashes.py are hashes in eight orientations, phash.py ours
quality_signals.py are the numbers that rules look at.
"""
