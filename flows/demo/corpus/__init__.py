"""The demo corpus, drawn by program: classes to learn, and copies and bad files of known truth to find."""

from flows.demo.corpus.corpus import Planted, Truth, draw
from flows.demo.corpus.score import score

__all__ = ["Planted", "Truth", "draw", "score"]
