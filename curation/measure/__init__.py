"""One decode of an image, and everything that is measured of it.

measure.py goes through a part of the listing · hashes.py are hashes in eight orientations, phash.py ours
quality_signals.py are the numbers that rules look at.
"""
