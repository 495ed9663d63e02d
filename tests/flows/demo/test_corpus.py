"""The demo corpus is the same for everyone, holds what it says it holds, and its score counts honestly."""

import csv
import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from flows.demo.corpus import Planted, Truth, draw, score
from flows.demo.corpus.copies import COPIES
from flows.demo.corpus.corpus import draw_questions, planted_counts
from flows.demo.corpus.distinct import gray, phash
from flows.demo.corpus.scene import CLASSES
from flows.demo.corpus.signals import entropy, luminance, sharpness
from shared.catalog import DROPPED, MANIFEST
from shared.images.decode import UndecodableError, decode

COUNT = 60


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return draw(tmp_path_factory.mktemp("corpus"), images=COUNT, seed=3)


def named(truth: Truth, kind: str) -> list[str]:
    return [name for name, planted in truth.files.items() if planted.kind == kind]


def data(truth: Truth, name: str) -> bytes:
    return (truth.images / name).read_bytes()


def files(truth: Truth) -> dict[str, bytes]:
    return {name: data(truth, name) for name in truth.files}


def test_the_same_seed_draws_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    first, again, other = (files(draw(tmp_path / str(i), images=12, seed=seed)) for i, seed in enumerate((7, 7, 8)))
    assert first == again
    assert not set(first.values()) & (set(other.values()) - {b""})


def test_a_larger_corpus_begins_with_the_smaller_one(corpus: Truth, tmp_path: Path) -> None:
    small = draw(tmp_path, images=20, seed=3)
    assert [data(small, n) for n in named(small, "original")] == [data(corpus, n) for n in named(corpus, "original")][
        :20
    ]


def test_every_kind_is_planted_as_often_as_promised(corpus: Truth) -> None:
    counts = Counter(planted.kind for planted in corpus.files.values())
    assert counts == {"original": COUNT, **planted_counts(COUNT)}
    assert {name.split("/")[0] for name in named(corpus, "original")} == set(CLASSES)
    assert sum(planted_counts(1000).values()) == 184


def test_the_truth_lies_beside_the_images_and_reads_back(corpus: Truth) -> None:
    on_disk = {p.relative_to(corpus.images).as_posix() for p in corpus.images.rglob("*") if p.is_file()}
    assert on_disk == set(corpus.files)
    assert Truth.load(corpus.folder) == corpus
    row = json.loads((corpus.folder / "truth.json").read_text())[named(corpus, "flipped")[0]]
    assert set(row) == {"kind", "of", "class"}


def test_questions_are_other_pictures_of_the_same_classes(corpus: Truth) -> None:
    with draw_questions(corpus, count=20, seed=3).open() as file:
        rows = list(csv.DictReader(file))
    asked = [row for row in rows if row["split"] == "test"]
    assert [row["label"] for row in asked] == 2 * list(CLASSES)
    assert len(rows) - len(asked) == COUNT
    assert all((corpus.folder / row["path"]).parent.name == row["label"] for row in rows)
    known = {data(corpus, name) for name in corpus.files}
    assert not known & {(corpus.folder / row["path"]).read_bytes() for row in asked}


def test_originals_pass_the_quality_rules(corpus: Truth) -> None:
    for name in named(corpus, "original"):
        image = decode(data(corpus, name)).image
        low, high = luminance(image)
        assert high >= 0.4
        assert low <= 0.9
        assert entropy(image) >= 4
        assert sharpness(image) >= 0.3
        assert min(image.size) / max(image.size) >= 0.5
        assert 96 <= min(image.size) <= max(image.size) <= 160


def test_no_two_originals_look_alike(corpus: Truth) -> None:
    views = np.stack([gray(decode(data(corpus, name)).image) for name in named(corpus, "original")])
    hashes = np.stack([phash(view) for view in views])
    pairs = np.triu_indices(len(views), 1)
    assert (views @ views.T)[pairs].max() < 0.93
    assert (hashes[:, None] != hashes[None]).sum(-1)[pairs].min() > 6


def test_copies_are_what_their_kind_says(corpus: Truth) -> None:
    for kind in COPIES:
        for name in named(corpus, kind):
            of = corpus.files[name].of
            assert of is not None
            assert name.split("/")[0] == of.split("/")[0] == corpus.files[name].label
            copy, original = data(corpus, name), data(corpus, of)
            assert (copy == original) == (kind == "exact")
            same_pixels = decode(copy).image.tobytes() == decode(original).image.tobytes()
            assert same_pixels == (kind in ("exact", "metadata"))
            if kind in ("recompressed", "flipped", "brightness", "rotated"):
                assert decode(copy).image.size == decode(original).image.size
    (turned,) = named(corpus, "rotated")
    assert Image.open(io.BytesIO(data(corpus, turned))).getexif()[0x0112] in (3, 6, 8)


def test_bad_files_are_bad_in_one_way(corpus: Truth) -> None:
    for name in named(corpus, "broken"):
        with pytest.raises(UndecodableError):
            decode(data(corpus, name))

    def images(kind: str) -> list[Image.Image]:
        return [decode(data(corpus, name)).image for name in named(corpus, kind)]

    assert all(sharpness(image) < 0.29 and entropy(image) > 4 for image in images("blurred"))
    assert all(luminance(image)[1] < 0.37 for image in images("dark"))
    assert all(entropy(image) < 1 for image in images("blank"))
    assert all(min(image.size) / max(image.size) < 0.35 for image in images("strip"))
    assert all(max(image.size) < 16 for image in images("small"))


TRUTH = Truth(
    Path("/corpus"),
    {
        "a/o.jpg": Planted("original", None, "a"),
        "a/exact.jpg": Planted("exact", "a/o.jpg", "a"),
        "a/flip.jpg": Planted("flipped", "a/o.jpg", "a"),
        "a/crop.jpg": Planted("cropped", "a/o.jpg", "a"),
        "b/p.jpg": Planted("original", None, "b"),
        "b/broken.jpg": Planted("broken", None, "b"),
        "b/blank.jpg": Planted("blank", None, "b"),
    },
)


def tables(kept: list[str], dropped: list[tuple[str, str, str | None]]) -> tuple[pa.Table, pa.Table]:
    def table(rows: list[dict[str, str | None]], schema: pa.Schema) -> pa.Table:
        return pa.Table.from_pylist(rows, schema=schema)

    def uri(name: str | None) -> str | None:
        return None if name is None else f"/corpus/images/{name}"

    gone: list[dict[str, str | None]] = [
        {"uri": uri(n), "reason": reason, "kept_uri": uri(of)} for n, reason, of in dropped
    ]
    return table([{"uri": uri(n)} for n in kept], MANIFEST.schema), table(gone, DROPPED.schema)


def test_a_copy_counts_when_it_fell_to_its_group_or_its_original_fell_to_it() -> None:
    kept, dropped = tables(
        ["a/exact.jpg", "a/crop.jpg", "b/p.jpg"],
        [
            ("a/o.jpg", "exact_duplicate", "a/exact.jpg"),
            ("a/flip.jpg", "near_duplicate", "a/exact.jpg"),
            ("b/broken.jpg", "unreadable", None),
            ("b/blank.jpg", "low_information", None),
        ],
    )
    rows = {row.kind: row for row in score(TRUTH, kept, dropped)}
    right = {kind: row.found for kind, row in rows.items() if row.planted and row.recall is not None}
    assert right == {"exact": 1, "flipped": 1, "cropped": 0, "broken": 1, "blank": 1, "original": 2}
    assert rows["cropped"].recall == 0
    assert rows["near_duplicate"].precision == 1
    assert rows["metadata"].recall is None


def test_a_wrong_drop_costs_precision_and_no_copy_is_found_by_it() -> None:
    kept, dropped = tables(
        ["b/p.jpg", "a/o.jpg", "a/exact.jpg"],
        [
            ("a/flip.jpg", "near_duplicate", "b/p.jpg"),
            ("a/crop.jpg", "near_duplicate", "a/o.jpg"),
            ("b/blank.jpg", "unreadable", None),
            ("b/broken.jpg", "exact_duplicate", "a/o.jpg"),
        ],
    )
    rows = {row.kind: row for row in score(TRUTH, kept, dropped)}
    assert rows["near_duplicate"][1:4] == (2, 1, 0.5)
    assert rows["flipped"].found == rows["blank"].found == rows["unreadable"].found == 0
    assert rows["exact_duplicate"].precision == 0
    assert rows["cropped"].recall == 1
