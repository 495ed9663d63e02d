"""Pictures of one kind that look alike and are no copies of each other: every one that a kind draws has other content.

pages.py: documents and screens · graphics.py: signs, flags, charts, codes · photos.py: things as cameras see them.
A kind is a function of a random generator and the picture's number. Kinds that are named in HELD_OUT were drawn only
after the rules of verification were settled: what they show is what to expect on kinds that nobody thought of.
"""
