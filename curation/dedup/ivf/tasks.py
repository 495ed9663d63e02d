"""The pieces of work of a search for near pairs: each a pure function of the files that it names.

assign: a group of parts → one file sorted by bucket; where few images are new, theirs first, then of all others those
that are near one of them. search: a span of buckets → one file sorted by image.
collect: a span of images → pairs, and those in doubt sorted by bucket. carry: a span of buckets → the thumbnails of
those that visit other buckets in such pairs. look: a span of buckets → those pairs, thumbnails compared, each once.
settle: a span of images → all pairs. First, sample and truth tell centroids and probing.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Ints
from curation.dedup.ivf.assign import ASKS, NEW, TARGET, VectorPart, bucket_rows, visits_of
from curation.dedup.ivf.bucket_files import buckets_of, spans_of
from curation.dedup.ivf.few import FewRows
from curation.dedup.ivf.pins import read_pinned
from curation.dedup.ivf.recall import (
    TRUE,
    TruePairs,
    VectorSample,
    joined,
    merge_truth,
    read_sample,
    true_neighbours,
    true_table,
    write_sample,
)
from curation.dedup.ivf.search import FOUND, DirectedPairs, read_found, search_bucket, shown_in_bucket, to_ids
from curation.dedup.ivf.selection import read_selection
from curation.dedup.ivf.task import Task
from shared.launch.gpus import cores_of_this_process
from shared.storage.checked import write_table
from shared.storage.sorted_file import write_sorted

QUERIES = 1024
"""Images whose true neighbours are sought: half of them choose the probing, the other half judge the result."""

GUESTS = ["guest_home", "bucket", "item", "other"]


def sample(task: Task) -> tuple[int, str]:
    """Write which images of some parts are sampled: for centroids, and beside that file for recall.

    Those whose draw is at most `low`, and at most `high`. Returns how many targets the parts hold, and the file.
    """
    targets, pools, queries = 0, list[VectorSample](), list[VectorSample]()
    for name in task.names:
        part = read_selection(task.store, name)
        stored = part.having(TARGET)
        targets += len(stored.ids)
        pools.append(VectorSample.of(stored).below(task.low, "centroids"))
        queries.append(VectorSample.of(part.having(ASKS)).below(task.high, "recall"))
    write_sample(task.store, task.output, joined(pools, "centroids"))
    write_sample(task.store, beside(task.output, "queries"), joined(queries, "recall"))
    return targets, task.output


def truth(task: Task) -> str:
    """Write the true neighbours, in some parts, of sampled images: of some among all, of others among what is new."""
    (pinned, all_name, new_name, *parts), search = task.names, task.search
    centroids = read_pinned(task.store, pinned)
    among = ((all_name, TARGET), (new_name, NEW))
    asked = [(read_sample(task.store, name), role, list[TruePairs]()) for name, role in among]
    for name in parts:
        part = read_selection(task.store, name)
        for queries, role, found in asked:
            theirs = VectorSample.of(part.having(role))
            found.append(true_neighbours(queries, theirs, search.cosine, search.count))
    pieces = [TRUE.empty_table()]
    for queries, _, found in asked:
        pieces.append(true_table(queries, merge_truth(found, search.count), centroids, search.most_probes))
    write_table(task.store, task.output, pa.concat_tables(pieces))
    return task.output


def assign(task: Task) -> tuple[Ints, int]:
    """Write the rows for buckets of some parts, sorted by bucket; return how many visit each, and how many images.

    And their thumbnails, if they are compared, each in its home. Beside few others, only what is near one of those.
    """
    centroids_name, *parts = task.names
    centroids, turns = read_pinned(task.store, centroids_name), task.permutations
    images = VectorPart.join([read_selection(task.store, name, task.search.thumbnails) for name in parts])
    visits = visits_of(images.vectors, centroids, task.probing, turns)
    counts = visits.counts(len(centroids))
    if task.few:
        few = FewRows.of(pa.concat_tables(spans_of(task.store, task.few, 0, len(centroids))), turns)
        visits = visits.where(few.near(images.vectors, visits, task.search.cosine))
    rows, seen = bucket_rows(images, visits)
    write_sorted(task.store, task.output, rows, "bucket", batch_rows=1024, compression="none")
    if task.search.thumbnails:
        file = beside(task.output, "thumbnails")
        write_sorted(task.store, file, seen, "bucket", batch_rows=1024, compression="none")
    return counts, len(images.ids)


def search(task: Task) -> str:
    """Search a span of buckets; write the directed pairs, sorted by item.

    Several at a time in the process of a GPU, which has several cores: they take longer to sort out pairs than it does
    to compare.
    """

    def searched(rows: pa.Table) -> pa.Table:
        return search_bucket(rows, task.search.cosine, task.search.count, task.permutations)

    buckets = (rows for rows in buckets_of(task.store, task.names, task.low, task.high) if rows.num_rows)
    with ThreadPoolExecutor(cores_of_this_process(), thread_name_prefix="search") as threads:
        pieces = list(threads.map(searched, buckets))
    write_sorted(task.store, task.output, pa.concat_tables([FOUND.empty_table(), *pieces]), "item")
    return task.output


def collect(task: Task) -> str:
    """Gather the pairs of a span of images; keep the nearest of each; write those in doubt to files of their own."""
    rows = _of_images(task).combine_chunks()
    number = np.unique(np.concatenate([to_ids(rows["item"]), to_ids(rows["other"])]), return_inverse=True)[1]
    item, other = np.split(number.astype(np.int64), 2)
    best = DirectedPairs(item, other, rows["cosine"].to_numpy()).nearest_rows(task.search.count)
    rows = rows.take(best)
    likely = pc.greater_equal(rows["cosine"], pa.scalar(task.search.likely, pa.float32()))
    shown = pc.coalesce(rows["shown"], pc.if_else(likely, True, None))
    rows = rows.set_column(FOUND.get_field_index("shown"), "shown", shown)
    write_sorted(task.store, task.output, rows.filter(pc.is_valid(shown)), "item")
    doubts = rows.filter(pc.is_null(shown))
    write_sorted(task.store, beside(task.output, "doubts"), doubts, "bucket")
    guests = doubts.filter(pc.not_equal(doubts["guest_home"], doubts["bucket"]))
    write_sorted(task.store, beside(task.output, "guests"), guests.select(GUESTS), "guest_home")
    return task.output


def beside(name: str, what: str) -> str:
    """Return the file of something else that a task writes, beside that of its rows."""
    return name.replace(".parquet", f"-{what}.parquet")


def carry(task: Task) -> str:
    """Write the thumbnails that are stored in a span of buckets for those other buckets in which they are compared."""
    seen, guests = (
        pa.concat_tables(spans_of(task.store, names, task.low, task.high)) for names in (task.names, task.doubts)
    )
    carried = []
    for side in ("item", "other"):
        place = pc.index_in(guests[side], value_set=seen["image_id"])
        at_home = pc.equal(seen["bucket"].take(place), guests["guest_home"])
        place = place.filter(at_home)
        bucket = guests["bucket"].filter(at_home)
        carried.append(pa.table({"bucket": bucket, "place": place}))
    wanted = pa.concat_tables(carried).group_by(["bucket", "place"], use_threads=False).aggregate([])
    rows = seen.select(["image_id", "thumbnail"]).take(wanted["place"]).add_column(0, "bucket", wanted["bucket"])
    write_sorted(task.store, task.output, rows, "bucket", batch_rows=1024, compression="none")
    return task.output


def look(task: Task) -> str:
    """Compare the thumbnails of the pairs in doubt of a span of buckets; write those, sorted by item."""
    doubts = list(buckets_of(task.store, task.doubts, task.low, task.high))
    pieces = [FOUND.empty_table()]
    if any(len(pairs) for pairs in doubts):
        rows = buckets_of(task.store, task.names, task.low, task.high)
        pieces += [shown_in_bucket(pairs, images) for pairs, images in zip(doubts, rows, strict=True) if len(pairs)]
    write_sorted(task.store, task.output, pa.concat_tables(pieces), "item")
    return task.output


def settle(task: Task) -> str:
    """Gather the pairs of a span of images, those that were in doubt included."""
    write_sorted(task.store, task.output, _of_images(task), "item")
    return task.output


def _of_images(task: Task) -> pa.Table:
    """Return the pairs of a span of images, by the first byte of their ids."""
    low, high = (None if edge == 256 else bytes([edge]) + bytes(15) for edge in (task.low, task.high))
    return read_found(task.store, task.names, low or bytes(16), high)
