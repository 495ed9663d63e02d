import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.dedup.exact_classes import exact_classes, find_duplicates
from curation.dedup.keep_order import Merits, keep_order
from curation.dedup.resemblance import NEAR, PairResemblance, VectorResemblance
from curation.dedup.star_rule import walk
from curation.dedup.vector_index import VectorIndex
from tests.curation.dedup.hash_walk import HashResemblance

UPRIGHT = []
TURNED = [np.array([3, 2, 1, 0])]


def problem(seed: int, count: int):
    """Points in a few loose clumps, so that chains A ~ B ~ C abound."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(max(1, count // 6), 4))
    vectors = (centres[rng.integers(0, len(centres), count)] + rng.normal(size=(count, 4)) * 0.3).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    hashes = rng.integers(0, 256, (count, 64), dtype=np.uint8)  # eight orientations
    hashes[:, 1:8] = hashes[:, 9:16] = 0
    hashes[:, 8] = rng.integers(0, 256, count)
    return vectors, hashes, rng.random(count) > 0.1


def resemblances(vectors, hashes, trusted, turns):
    return [HashResemblance(hashes, 1, trusted), VectorResemblance(VectorIndex(vectors, turns), 0.95, trusted)]


def alike(i, j, vectors, hashes, trusted, turns):
    """The strongest resemblance of an item to a better one, by the definition: its rank, and its score."""
    if not (trusted[i] and trusted[j]):
        return None
    distance = min(int(np.unpackbits(view ^ hashes[j][:8]).sum()) for view in hashes[i].reshape(8, 8))
    if distance <= 1:
        return 0, -distance
    cosine = max(float(vectors[i][turn] @ vectors[j]) for turn in [np.arange(4), *turns])
    return (1, cosine) if cosine >= 0.95 else None


def slow_walk(order, barred, *facts):
    """The star rule as it is said: drop an item if a kept item resembles it. Returns the best for each dropped."""
    kept, dropped = [], {}
    for item in order:
        found = [(*match, other) for other in kept if (match := alike(item, other, *facts))]
        if found:
            dropped[int(item)] = min(found, key=lambda match: (match[0], -match[1])), list(kept)
        elif not barred[item]:
            kept.append(item)
    return dropped


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([1, 3, 16, 512]), st.booleans(), st.booleans())
def test_the_walk_in_blocks_equals_the_rule_item_by_item(seed, count, block, turning, barring):
    facts = (*problem(seed, count), TURNED if turning else UPRIGHT)
    rng = np.random.default_rng(seed + 1)
    order, barred = rng.permutation(count), (rng.random(count) < 0.3) & barring
    expected = slow_walk(order, barred, *facts)
    found = walk(order, resemblances(*facts), barred, block)
    assert set(found) == set(expected)
    for item, match in found.items():
        (rank, score, _), kept = expected[item]
        assert match.reason == ("perceptual_duplicate", "near_duplicate")[rank]
        assert abs(match.score - score) < 1e-5
        assert match.kept in kept


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([1, 7, 512]))
def test_pairs_that_were_judged_obey_the_same_rule(seed, count, block):
    rng = np.random.default_rng(seed)
    order = rng.permutation(count)
    pairs = {
        int(order[i]): {int(other): float(rng.random()) for other in order[:i] if rng.random() < 0.15}
        for i in range(count)
    }
    kept, expected = [], {}
    for item in order.tolist():
        found = [(-score, other) for other, score in pairs[item].items() if other in kept]
        if found:
            expected[item] = min(found)[1]
        else:
            kept.append(item)
    assert {
        item: match.kept for item, match in walk(order, [PairResemblance(NEAR, pairs)], block=block).items()
    } == expected


def compared(pixels_ids, bytes_=None):
    """Keep order and the best image of each class; of one size the first is better."""
    bytes_ = bytes_ or [10] * len(pixels_ids)
    order = np.array(sorted(range(len(bytes_)), key=lambda i: (-bytes_[i], i)), np.int64)
    return order, exact_classes(np.frombuffer(b"".join(name.ljust(16) for name in pixels_ids), "V16"), order)


def duplicates(images, resemblances, barred=()):
    return find_duplicates(*images, resemblances, np.isin(np.arange(len(images[0])), barred))


def cosine_of(vectors, threshold):
    return VectorResemblance(VectorIndex(vectors, []), threshold, np.ones(len(vectors), bool))


def test_a_chain_does_not_delete_its_far_end():
    angles = np.deg2rad([0, 15, 30])
    vectors = np.stack([np.cos(angles), np.sin(angles), 0 * angles, 0 * angles], axis=1).astype(np.float32)
    near = cosine_of(vectors, float(np.cos(np.deg2rad(16))))
    assert set(duplicates(compared([b"a", b"b", b"c"]), [near])) == {1}


def test_equal_pixels_are_exact_duplicates_of_the_best_one():
    found = duplicates(compared([b"a", b"a", b"b", b"a"], [5, 9, 5, 7]), [])
    assert {item: match.kept for item, match in found.items()} == {0: 1, 3: 1}
    assert {match.reason for match in found.values()} == {"exact_duplicate"}


def test_a_copy_of_a_dropped_image_names_the_kept_one():
    vectors = np.array([[1, 0, 0, 0], [0.999, 0.0447, 0, 0], [0.999, 0.0447, 0, 0]], dtype=np.float32)
    found = duplicates(compared([b"a", b"b", b"b"], [9, 5, 5]), [cosine_of(vectors, 0.99)])
    assert {item: (match.reason, match.kept) for item, match in found.items()} == {
        1: ("near_duplicate", 0),
        2: ("near_duplicate", 0),
    }


def test_nothing_is_dropped_for_the_sake_of_an_image_that_is_barred():
    vectors = np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]], dtype=np.float32)
    images = compared([b"a", b"a", b"b", b"c"], [9, 8, 9, 8])
    found = duplicates(images, [cosine_of(vectors, 0.99)], barred=[0, 1, 3])
    assert {item: match.kept for item, match in found.items()} == {3: 2}  # 1 equals 0, but 0 is not kept


def named(ids, uris, merits):
    """Merits of images with these digests of 16 bytes, and what was read of them."""
    read = []

    def names(items):
        read.extend(items.tolist())
        return pa.table({"image_id": pa.array([ids[i] for i in items], pa.binary(16)), "uri": [uris[i] for i in items]})

    heads = np.array([int.from_bytes(each[:8]) for each in ids], np.uint64)
    return Merits(np.array(merits, np.float64).reshape(len(merits), len(ids)), heads, names), read


def test_keep_order_goes_by_the_merits_in_turn_then_by_the_smaller_id():
    ids = [bytes([i]) * 16 for i in range(4)]
    merits, read = named(ids, "abcd", [[-100, -100, -100, -400], [-5, -9, -9, -9]])
    assert keep_order(merits).tolist() == [3, 1, 2, 0]
    assert read == []


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 60))
def test_ties_fall_to_the_smaller_id_then_uri_and_a_class_to_its_best_image(seed, count):
    """Whole digests count, where first halves agree; no number of a merit is one, too."""
    rng = np.random.default_rng(seed)
    ids = [bytes(d) for d in rng.integers(0, 2, (count, 16), dtype=np.uint8) * np.isin(np.arange(16), (0, 7, 15))]
    pixels = rng.integers(254, 256, (count, 16), dtype=np.uint8)
    pixels[:, 1:7] = pixels[:, 8:15] = 0
    merit = rng.choice([1.0, 2.0, np.nan], (2, count))
    uris = [f"{i % 7}-\u00e9{i}" for i in rng.permutation(count)]
    order = keep_order(named(ids, uris, merit)[0])
    best = np.nan_to_num(merit, nan=9.0).T.tolist()
    expected = sorted(range(count), key=lambda i: (best[i], ids[i], uris[i].encode()))
    assert order.tolist() == expected
    first: dict[bytes, int] = {}
    leader = {item: first.setdefault(pixels[item].tobytes(), item) for item in expected}
    assert dict(enumerate(exact_classes(pixels.view("V16").reshape(-1), order).tolist())) == leader


def test_buckets_find_what_exact_search_finds(monkeypatch):
    monkeypatch.setattr("curation.dedup.vector_index.EXACT_BELOW", 100)
    rng = np.random.default_rng(0)
    base = rng.normal(size=(1500, 16)).astype(np.float32)
    copies = base[:300] + rng.normal(size=(300, 16)).astype(np.float32) * 0.02
    vectors = np.concatenate([base, copies])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    near = cosine_of(vectors, 0.98)
    found = walk(np.arange(1800), [near])
    assert near.index.buckets > 1
    assert near.index.recall() > 0.5  # of unrelated nearest neighbours, the hard case
    assert len(set(range(1500, 1800)) - set(found)) <= 3
