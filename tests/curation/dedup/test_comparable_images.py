"""What is read of a corpus part by part is what reading it whole would give."""

import numpy as np
import pyarrow as pa
import pytest

from curation.dedup import candidate_parts, compared_thumbnails
from curation.dedup.candidate_parts import Proposal, ProposedPairs, pair_parts
from curation.dedup.comparable_images import comparable_images
from curation.dedup.keep_order import keep_order, merits_of
from curation.dedup.knn_pairs import NeighbourPairs, merged
from curation.params.copies import DedupParams
from shared.catalog import IMAGES, MEASUREMENTS, VERDICTS
from shared.schema import Contract
from shared.stage_runner import Rounds
from shared.storage import Store
from shared.tables import Output, Rows, commit_part

SIZES = (5, 0, 7, 3)
PAIRS = [0, 1, 2, 4], [6, 2, 3, 0]


def table(contract: Contract, count: int, columns: dict[str, list]) -> pa.Table:
    nulls = {field.name: pa.nulls(count, field.type) for field in contract.schema}
    return pa.table({name: pa.array(columns[name]) if name in columns else nulls[name] for name in nulls}).cast(
        contract.schema
    )


@pytest.fixture
def corpus(tmp_path):
    """Fifteen images in four parts, one of them empty; each third image cannot be decoded, each seventh is blurred."""
    store, parts, first = Store(str(tmp_path)), {"index": [], "measure": [], "quality": []}, 0
    for size in SIZES:
        numbers = range(first, first + size)
        uris = {"uri": [f"u{i}" for i in numbers], "source": [f"s{i % 2}" for i in numbers]}
        fixed = {name: [bytes([i]) * width for i in numbers] for name, width in (("hashes", 64), ("thumbnail", 1152))}
        ids = [bytes([i]) * 16 for i in numbers]
        pixels = [None if i % 3 == 0 else digest for i, digest in zip(numbers, ids, strict=True)]
        plain = {name: [9] * size for name in ("width", "height", "bytes")} | {"detail": [9.0] * size}
        measured = {"image_id": ids, "pixels_id": pixels} | fixed | plain
        verdicts = {"reason": ["blurred" if i % 7 == 0 else None for i in numbers]}
        parts["index"].append(commit_part(store, "index", table(IMAGES, size, uris)))
        parts["measure"].append(commit_part(store, "measure", table(MEASUREMENTS, size, measured)))
        parts["quality"].append(commit_part(store, "quality", table(VERDICTS, size, verdicts), f"{first}-{size}"))
        first += size
    return [Rows(store, Output(name, "made", "images", tuple(made))) for name, made in parts.items()]


def test_items_are_the_images_that_can_be_decoded_and_pass(corpus):
    images = comparable_images(*corpus, DedupParams())
    assert images.rows.tolist() == [1, 2, 4, 5, 8, 10, 11, 13]
    assert len(comparable_images(*corpus[:2], None, DedupParams())) == 10


def test_columns_of_some_items_come_in_the_order_that_was_asked_for(corpus):
    images, items = comparable_images(*corpus, DedupParams()), np.array([6, 0, 0, 4])  # the rows 11, 1, 1 and 8
    assert images.column("uri", items).to_pylist() == ["u11", "u1", "u1", "u8"]
    assert images.column("source", items).to_pylist() == ["s1", "s1", "s1", "s0"]
    assert images.places(items).to_pydict() == {"part": [2, 0, 0, 2], "row": [6, 1, 1, 3]}
    hashes = {place: row[63] for places, rows in images.hashes(items) for place, row in zip(places, rows, strict=True)}
    assert [hashes[place] for place in range(4)] == [11, 1, 1, 8]
    assert images.column("uri", items[:0]).to_pylist() == []


@pytest.mark.parametrize(("span", "group"), [(1, 1), (2, 6), (3, 100), (100, 100)])
def test_thumbnails_of_pairs_meet_wherever_they_lie_and_each_part_is_read_once(corpus, span, group, monkeypatch):
    monkeypatch.setattr(compared_thumbnails, "SPAN", span)
    monkeypatch.setattr(compared_thumbnails, "GROUP", group)
    images, read = comparable_images(*corpus, DedupParams()), []
    read_part = compared_thumbnails.read_part
    monkeypatch.setattr(
        compared_thumbnails, "read_part", lambda *names, **more: read.append(names[2]) or read_part(*names, **more)
    )
    ones, others = np.array([6, 0, 0, 4, 7]), np.array([0, 6, 0, 7, 1])  # the rows 11, 1, 1, 8, 13; 1, 11, 1, 13, 2
    rounds = Rounds(images.measurements.store, "rounds", lambda fn, items: map(fn, list(items)[::-1]))
    for times, compare in ((1, np.greater), (2, np.equal)):
        told = images.alike(rounds, compare.__name__, ones, others, lambda a, b, f=compare: f(a[:, 1151], b[:, 1151]))
        assert told.tolist() == compare([11, 1, 1, 8, 13], [1, 11, 1, 13, 2]).tolist()
        assert sorted(read) == sorted(times * [part.name for part in images.measurements.output.parts])
    assert images.alike(rounds, "none", ones[:0], others[:0], None).tolist() == []


@pytest.mark.parametrize("gathered", [1, 8, 100])
def test_an_item_is_found_by_its_uri_where_it_may_be_compared(corpus, gathered, monkeypatch):
    monkeypatch.setattr("curation.dedup.comparable_parts.GATHERED", gathered)
    images = comparable_images(*corpus, DedupParams())
    wanted = pa.chunked_array([["u8", "u1"], ["u0", "none", "u8"]])
    assert images.items_of(wanted).to_pylist() == [4, 0, None, None, 4]


def test_digests_of_files_come_in_the_order_that_was_asked_for(corpus):
    images = comparable_images(*corpus, DedupParams())
    assert [each.tobytes()[0] for each in images.ids_of_files(np.array([6, 0, 0, 4]))] == [11, 1, 1, 8]


def test_sources_are_ranked_in_the_order_in_which_they_come(corpus):
    merits = merits_of(corpus, DedupParams(keep=("source",)))
    assert merits.columns[0].tolist() == [0, 1, 1, 0, 1, 1, 0, 0]  # s1 comes first
    assert keep_order(merits).tolist() == [0, 3, 6, 7, 1, 2, 4, 5]
    assert merits.names(np.array([6, 0])).to_pylist() == [
        {"image_id": bytes([11]) * 16, "uri": "u11"},
        {"image_id": bytes([1]) * 16, "uri": "u1"},
    ]


def test_pairs_are_cut_into_the_same_parts_however_many_are_in_memory(corpus, monkeypatch):
    images = comparable_images(*corpus, DedupParams())
    found = [NeighbourPairs.of([np.array(i)], [np.array(o)], [np.ones(len(i))]) for i, o in (PAIRS, PAIRS[::-1])]
    pairs, touching = (ProposedPairs.of(each, each) for each in found)
    proposals = [
        Proposal(images, images, pairs, pairs.item % 3 - 1),
        Proposal(images, images, touching, touching.item % 4 - 1, "source"),
    ]
    whole = [part.to_pylist() for part in pair_parts(proposals)]
    monkeypatch.setattr(candidate_parts, "AT_ONCE", 1)
    assert [part.to_pylist() for part in pair_parts(proposals)] == whole
    assert len(whole) == 4
    rows = [row for part in whole for row in part]
    assert sorted((row["uri"], row["other_uri"]) for row in rows if row["set"] is None) == [
        ("u1", "u11"), ("u2", "u4"), ("u4", "u5"), ("u8", "u1"),
    ]  # fmt: skip
    assert {row["set"] for row in rows} == {None, "s0", "s1"}
    none = merged([])
    assert [*pair_parts([Proposal(images, images, ProposedPairs.of(none, none), none.item)])] == []
