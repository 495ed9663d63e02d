"""Draw the demo corpus: python -m flows.demo.corpus FOLDER [--images 1000] [--seed 0]."""

import argparse
from collections import Counter
from pathlib import Path

from flows.demo.corpus.corpus import draw


def main() -> None:
    """Draw, and say what was drawn."""
    parser = argparse.ArgumentParser(prog="python -m flows.demo.corpus", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the corpus goes: FOLDER/images and FOLDER/truth.json")
    parser.add_argument("--images", type=int, default=1000, help="originals; copies and bad files come on top")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws another corpus")
    arguments = parser.parse_args()
    truth = draw(arguments.folder, images=arguments.images, seed=arguments.seed)
    counts = Counter(planted.kind for planted in truth.files.values())
    print(f"{len(truth.files):,} files in {truth.images}: " + ", ".join(f"{n} {k}" for k, n in counts.items()))


if __name__ == "__main__":
    main()
