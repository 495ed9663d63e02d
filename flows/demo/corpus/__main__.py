"""Draw the demo corpus: python -m flows.demo.corpus FOLDER [--images 1000] [--seed 0]."""

import argparse
from collections import Counter
from pathlib import Path

from flows.demo.corpus.corpus import ASKED, draw, draw_questions


def main() -> None:
    """Draw, and say what was drawn."""
    parser = argparse.ArgumentParser(prog="python -m flows.demo.corpus", description=__doc__)
    parser.add_argument("folder", type=Path, help="where it goes: FOLDER/images, questions, truth.json, labels.csv")
    parser.add_argument("--images", type=int, default=1000, help="originals; copies and bad files come on top")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws another corpus")
    parser.add_argument("--questions", type=int, default=ASKED, help="further pictures, to ask a model about")
    arguments = parser.parse_args()
    truth = draw(arguments.folder, images=arguments.images, seed=arguments.seed)
    questions = draw_questions(truth, count=arguments.questions, seed=arguments.seed)
    counts = Counter(planted.kind for planted in truth.files.values())
    print(f"{len(truth.files):,} files in {truth.images}: " + ", ".join(f"{n} {k}" for k, n in counts.items()))
    print(f"{arguments.questions:,} further pictures and the originals, with labels and splits: {questions}")


if __name__ == "__main__":
    main()
