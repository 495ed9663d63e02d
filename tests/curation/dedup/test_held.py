"""What the coordinator of candidates holds of an image: the growth of its traced peak between two sizes."""

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from curation.dedup import candidate_parts, hash_files, hash_lists
from curation.dedup.candidates import pair_tables
from curation.dedup.ivf import lists, members
from curation.dedup.ivf.assign import fixed_binary
from curation.params.copies import DedupParams
from shared.catalog import IMAGES, MEASUREMENTS, VERDICTS
from shared.stage_runner import Rounds
from shared.storage import Store
from shared.tables import Output, Rows, commit_part
from tests.curation.dedup.test_comparable_images import table

PART, SMALL, LARGE = 1000, 4000, 12_000
MOST_BYTES = 100


def corpus(store: Store, rows: int) -> list[Rows]:
    """Images of random hashes and vectors, parts of them: nothing is near anything, so that no pair is held."""
    rng, parts = np.random.default_rng(rows), {"index": [], "measure": [], "quality": []}
    for number in range(rows // PART):
        ids = rng.integers(0, 256, (PART, 16), dtype=np.uint8)
        hashes, thumbnails = (rng.integers(0, 256, (PART, width), dtype=np.uint8) for width in (64, 1152))
        vectors = rng.normal(size=(PART, 32)).astype(np.float16)
        plain = {name: [9] * PART for name in ("width", "height", "bytes")} | {"detail": [9.0] * PART}
        fixed = {"hashes": fixed_binary(hashes, 64), "thumbnail": fixed_binary(thumbnails, 1152)}
        named = {name: fixed_binary(ids, 16) for name in ("image_id", "pixels_id")}
        measured = plain | fixed | named | {"vector": pa.array(list(vectors), pa.list_(pa.float16()))}
        uris = {"uri": [f"u{number}-{row}" for row in range(PART)], "source": ["s"] * PART}
        parts["index"].append(commit_part(store, "index", table(IMAGES, PART, uris)))
        parts["measure"].append(commit_part(store, "measure", table(MEASUREMENTS, PART, measured)))
        parts["quality"].append(commit_part(store, "quality", table(VERDICTS, PART, {}), f"{number}"))
    outputs = [Output(name, "made", "images", tuple(made)) for name, made in parts.items()]
    return [Rows(store, output.seal(store, {"stage": output.stage, "version": 1, "params": {}})) for output in outputs]


def coordinators_peak(store: Store, given: list[Rows]) -> int:
    """Return the most bytes of NumPy that are held while no piece of work is done, as workers would do it."""
    peaks = [0]

    def note() -> None:
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.reset_peak()

    def run(function, items) -> Iterator:
        for item in items:
            note()
            result = function(item)
            tracemalloc.reset_peak()
            yield result

    none = [Rows(store, Output(name, "none", "references", ())) for name in ("references", "measure_references")]
    near = {"embedder": {"kind": "efficientnet-lite0"}, "candidates": {"layout": False, "cosine": 0.97}}
    params = DedupParams.model_validate({"near": near, "perceptual": {"distance": 3}})
    tracemalloc.start()
    try:
        for _ in pair_tables(tuple(given), tuple(none), params, Rounds(store, "rounds", run)):
            note()
        note()
    finally:
        tracemalloc.stop()
    return max(peaks)


def test_the_coordinator_holds_few_bytes_of_an_image_from_scratch_and_after_one_part_more(tmp_path, monkeypatch):
    for module in (members, lists, hash_lists):
        monkeypatch.setattr(module, "AT_ONCE", 1000)
    for module, name in ((hash_files, "IMAGES"), (hash_files, "SAMPLE"), (candidate_parts, "AT_ONCE")):
        monkeypatch.setattr(module, name, 1000)
    peaks = []
    for rows in (SMALL, LARGE):
        store = Store(str(tmp_path / str(rows)))
        peaks.append([])
        whole = corpus(store, rows + PART)
        for count in (-1, None):
            outputs = [Output(r.output.stage, str(count), "images", r.output.parts[:count]) for r in whole]
            facts = {"version": 1, "params": {}}
            given = [Rows(store, each.seal(store, {"stage": each.stage} | facts)) for each in outputs]
            peaks[-1].append(coordinators_peak(store, given))
    growth = (np.array(peaks[1]) - np.array(peaks[0])) / (LARGE - SMALL)
    assert growth.max() < MOST_BYTES, growth
