import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.dedup.exact_classes import ComparableColumns, exact_classes, find_duplicates, keep_order
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
    count = len(pixels_ids)
    return ComparableColumns(
        image_id=np.frombuffer(bytes(i for i in range(count) for _ in range(16)), "V16"),
        pixels_id=np.frombuffer(b"".join(name.ljust(16) for name in pixels_ids), "V16"),
        merits=(np.full(count, -100), -np.array(bytes_ or [10] * count)),
        uris=lambda items: pa.array([f"u{i}" for i in items]),
        trusted=np.ones(count, bool),
    )


def duplicates(images, resemblances, barred=()):
    return find_duplicates(images, resemblances, np.isin(np.arange(len(images)), barred))


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


def test_keep_order_goes_by_the_merits_in_turn_then_by_the_smaller_id():
    items = compared([b"a", b"b", b"c", b"d"], [5, 9, 9, 9])
    items.merits[0][3] = -400
    assert keep_order(items).tolist() == [3, 1, 2, 0]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 60))
def test_ties_fall_to_the_smaller_uri_and_a_class_to_its_best_image(seed, count):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 3, (count, 16), dtype=np.uint8) * (np.arange(16) < 1)
    pixels = rng.integers(254, 256, (count, 16), dtype=np.uint8)
    pixels[:, 1:15] = 0
    merit = rng.choice([1.0, 2.0, np.nan], count)
    uris = [f"{i % 7}-\u00e9{i}" for i in rng.permutation(count)]
    images = ComparableColumns(
        image_id=ids.astype(np.uint8).view("V16").reshape(-1),
        pixels_id=pixels.view("V16").reshape(-1),
        merits=(merit,),
        uris=lambda items: pa.array([uris[i] for i in items]),
        trusted=np.ones(count, bool),
    )
    order = keep_order(images)
    expected = sorted(range(count), key=lambda i: (np.nan_to_num(merit[i], nan=9.0), ids[i].tobytes(), uris[i]))
    assert order.tolist() == expected
    first: dict[bytes, int] = {}
    leader = {item: first.setdefault(pixels[item].tobytes(), item) for item in expected}
    assert dict(enumerate(exact_classes(images, order).tolist())) == leader


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
