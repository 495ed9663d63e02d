"""One decode of an image, and everything that is measured of it.

measure.py goes through a part of the listing · phash.py is the perceptual hash in eight orientations
quality_signals.py are the numbers that rules look at.
"""
