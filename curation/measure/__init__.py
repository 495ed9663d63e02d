"""One decode of an image, and everything that is measured of it.

measure.py goes through a part of the listing, decoders.py on several cores beside a GPU
hashes.py are hashes in eight orientations, phash.py ours
quality_signals.py are the numbers that rules look at.
"""
