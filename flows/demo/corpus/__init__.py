"""The demo corpus, drawn by program: classes to learn, and copies and bad files of known truth to find.

corpus.py writes it, score.py says what a curation found of it · copies.py, defects.py: what is planted
scene.py is one picture; built.py, centred.py, textures.py, colours.py, canvas.py: what it is drawn of
distinct.py, signals.py: no two originals alike, none that a quality rule drops.
"""

from flows.demo.corpus.corpus import Planted, Truth, draw
from flows.demo.corpus.score import score

__all__ = ["Planted", "Truth", "draw", "score"]
