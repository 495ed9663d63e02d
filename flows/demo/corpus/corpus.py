"""Writes the demo corpus: originals in class folders, copies and bad files among them, truth and questions beside."""

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from flows.demo.corpus.copies import COPIES, jpeg, png
from flows.demo.corpus.defects import DEFECTS
from flows.demo.corpus.distinct import DistinctPictures
from flows.demo.corpus.scene import CLASSES, picture
from flows.demo.corpus.signals import passes

IMAGES, TRUTH, QUESTIONS, LABELS = "images", "truth.json", "questions", "labels.csv"
ASKED = 600
"""Further pictures, which nothing is trained on: a standard error of two hundredths at most."""
PLANTED_PER = 1000
"""The counts in COPIES and DEFECTS are for so many originals, and shrink or grow with the corpus."""
_ORIGINAL, _NAME, _CHOICE, _COPY, _DEFECT, _QUESTION = range(6)
"""First word of a random stream's key: every picture has a stream of its own."""


@dataclass(frozen=True)
class Planted:
    """What one file is: its kind, the original that it copies if any, and its class."""

    kind: str
    of: str | None
    label: str


@dataclass(frozen=True)
class Truth:
    """What every file of the corpus is, by its path relative to `images`."""

    folder: Path
    files: dict[str, Planted]

    @property
    def images(self) -> Path:
        """The folder to curate."""
        return self.folder / IMAGES

    @classmethod
    def load(cls, folder: Path) -> "Truth":
        """Read the truth of a corpus that was drawn before."""
        rows = json.loads((folder / TRUTH).read_text())
        return cls(folder, {name: Planted(row["kind"], row["of"], row["class"]) for name, row in rows.items()})

    def save(self) -> None:
        """Write truth.json beside the images, never among them."""
        rows = {}
        for name, planted in sorted(self.files.items()):
            row = asdict(planted)
            rows[name] = {"kind": row["kind"], "of": row["of"], "class": row["label"]}
        (self.folder / TRUTH).write_text(json.dumps(rows, indent=1) + "\n")


def draw(folder: Path, *, images: int = 1000, seed: int = 0) -> Truth:
    """Draw `images` originals and plant copies and bad files among them: the same bytes for the same seed."""
    truth = Truth(folder, {})
    _originals(truth, images, seed)
    _copies(truth, images, seed)
    _defects(truth, images, seed)
    truth.save()
    return truth


def draw_questions(truth: Truth, *, count: int = ASKED, seed: int = 0) -> Path:
    """Draw pictures to ask a model about, and write labels.csv of them (test) and the originals (train)."""
    rows = [(f"{IMAGES}/{name}", one.label, "train") for name, one in truth.files.items() if one.kind == "original"]
    labels = list(CLASSES)
    for number in range(count):
        label, attempt = labels[number % len(labels)], 0
        while not passes(image := picture(label, np.random.default_rng([seed, _QUESTION, number, attempt]))):
            attempt += 1
        path = truth.folder / QUESTIONS / label / f"{number:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(image))
        rows.append((path.relative_to(truth.folder).as_posix(), label, "test"))
    with (truth.folder / LABELS).open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split"), *rows])
    return truth.folder / LABELS


def planted_counts(images: int) -> dict[str, int]:
    """Return how many of each kind are planted among so many originals: at least one."""
    kinds = {**COPIES, **DEFECTS}
    return {kind: max(1, round(count * images / PLANTED_PER)) for kind, (_, count) in kinds.items()}


def _originals(truth: Truth, images: int, seed: int) -> None:
    accepted, labels = DistinctPictures(images), list(CLASSES)
    for number in range(images):
        label, attempt = labels[number % len(labels)], 0
        while True:
            rng = np.random.default_rng([seed, _ORIGINAL, number, attempt])
            image = picture(label, rng)
            if passes(image) and accepted.accepts(image):
                break
            attempt += 1
        lossless = rng.random() < 0.1
        _add(truth, Planted("original", None, label), png(image) if lossless else jpeg(image), seed)


def _copies(truth: Truth, images: int, seed: int) -> None:
    """Copies share a tenth of the originals, so some of these have two or three copies."""
    rng = np.random.default_rng([seed, _CHOICE])
    names = [name for name in truth.files if name.endswith(".jpg")]
    pool = rng.permutation(names)[: max(1, round(images / 10))]
    for number, kind in enumerate(COPIES):
        make, count = COPIES[kind][0], planted_counts(images)[kind]
        for turn, of in enumerate(rng.permutation(pool)[:count]):
            data = make((truth.images / of).read_bytes(), np.random.default_rng([seed, _COPY, number, turn]))
            _add(truth, Planted(kind, str(of), truth.files[of].label), data, seed)


def _defects(truth: Truth, images: int, seed: int) -> None:
    for number, (kind, (make, _)) in enumerate(DEFECTS.items()):
        for turn in range(planted_counts(images)[kind]):
            rng = np.random.default_rng([seed, _DEFECT, number, turn])
            label = str(rng.choice(list(CLASSES)))
            _add(truth, Planted(kind, None, label), make(label, rng, turn), seed)


def _add(truth: Truth, planted: Planted, data: bytes, seed: int) -> None:
    """Write a file under a name that tells its class and nothing else."""
    rng = np.random.default_rng([seed, _NAME, len(truth.files)])
    suffix = "png" if data.startswith(b"\x89PNG") else "jpg"
    name = f"{planted.label}/{rng.bytes(5).hex()}.{suffix}"
    path = truth.images / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    truth.files[name] = planted
