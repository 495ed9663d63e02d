"""The demo corpus, drawn by program: classes to learn, and copies and bad files of known truth to find."""

from curation.synthetic.corpus import Planted, Truth, draw
from curation.synthetic.score import score

__all__ = ["Planted", "Truth", "draw", "score"]
