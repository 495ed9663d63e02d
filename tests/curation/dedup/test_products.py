"""Products on a GPU that is not there: a stand-in with FAISS's signature has another order of summation.

What FAISS really does on a GPU, test_gpu_products.py shows where there is one.
"""

import inspect

import faiss
import numpy as np
import pytest

from curation.dedup.ivf import difference, products
from curation.dedup.ivf.products import comparing, gpu_products
from curation.dedup.ivf.task import NearSearch
from curation.dedup.ivf.tasks import search
from shared.launch.gpus import CORES, VISIBLE
from shared.params import NOTHING, Needing, Resources
from tests.benchmarks.gpu.buckets import SMALL, given, work_of
from tests.curation.dedup.test_near_pairs import corpus, searched, write_parts


class StandIn:
    """FAISS as it is where it was built for GPUs and has some; `products` counts those that it made."""

    METRIC_INNER_PRODUCT = faiss.METRIC_INNER_PRODUCT

    def __init__(self, gpus: int = 1, free: int = 1 << 30, bits: int = 24) -> None:
        self.gpus, self.free, self.bits = gpus, free, bits
        self.products = 0

    def get_num_gpus(self) -> int:
        return self.gpus

    def StandardGpuResources(self):  # noqa: N802  FAISS's name
        return Memory(self)

    def pairwise_distance_gpu(self, res, xq, xb, D=None, metric=faiss.METRIC_L2, device=-1):
        assert metric == self.METRIC_INNER_PRODUCT
        assert all(side.dtype == np.float32 and side.flags.c_contiguous and len(side) for side in (xq, xb))
        if res.temporary > self.free:
            raise RuntimeError("StandardGpuResources: alloc fail")
        self.products += 1
        rounded = (np.ldexp(np.rint(np.ldexp(m, self.bits)), e - self.bits) for m, e in map(np.frexp, (xq, xb)))
        one, other = (side[:, ::-1].astype(np.float32) for side in rounded)
        return np.ascontiguousarray((other @ one.T).T)


class Memory:
    """The resources of a process; `temporary` is what they set aside."""

    def __init__(self, gpu: StandIn) -> None:
        assert gpu.gpus, "FAISS ends the process where it has no device"
        self.temporary = 1536 << 20

    def setTempMemory(self, size: int) -> None:  # noqa: N802
        self.temporary = size

    def setPinnedMemory(self, size: int) -> None:  # noqa: N802
        assert size == 0


@pytest.fixture
def gpu(monkeypatch):
    """A process that was given a GPU, with FAISS's stand-in."""
    stand_in = StandIn()
    monkeypatch.setattr(products, "faiss", stand_in)
    with given(gpu=True):
        yield stand_in


def test_the_stand_in_is_called_as_faiss_is():
    theirs, ours = (list(inspect.signature(of.pairwise_distance_gpu).parameters.values()) for of in (faiss, StandIn))
    assert [(p.name, p.default) for p in ours[1:]] == [(p.name, p.default) for p in theirs]


@pytest.mark.parametrize("name", ["assign", "search"])
def test_a_gpu_makes_the_same_bytes_as_numpy(gpu, name):
    work = work_of(SMALL)[name]
    before = gpu.products
    on_gpu = work()
    assert gpu.products > before
    with given(gpu=False):
        assert on_gpu.equals(work())
    assert len(on_gpu)


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0), (0, 0)])
def test_no_vectors_have_no_products(gpu, sizes):
    ours, theirs = (np.zeros((size, 8), np.float32) for size in sizes)
    assert products.products(ours, theirs).shape == sizes


@pytest.mark.parametrize(
    ("unusable", "given_to_it"),
    [
        (StandIn(), ""),  # a process that was given no GPU
        (StandIn(gpus=0), "0"),  # a name, and no device
        (StandIn(free=1 << 20), "0"),  # its memory is full
        (StandIn(bits=8), "0"),  # it rounds
        (faiss, "0"),  # FAISS for CPUs
    ],
)
def test_numpy_compares_where_no_gpu_can_be_used(monkeypatch, unusable, given_to_it):
    monkeypatch.setattr(products, "faiss", unusable)
    with given(gpu=True):
        monkeypatch.setenv(VISIBLE, given_to_it)
        assert gpu_products() is None
        assert products.products(np.eye(2, dtype=np.float32), np.ones((1, 2), np.float32)).tolist() == [[1], [1]]


def test_resources_are_made_once_a_process_and_are_bounded(gpu):
    gpu.free = products.TEMPORARY
    assert gpu_products() is gpu_products()
    assert gpu_products() is not None


def test_only_faiss_for_gpus_asks_for_one_and_only_where_it_pays(monkeypatch):
    assert comparing(search, pays=True) == Needing(search, NOTHING)
    monkeypatch.setattr(products, "faiss", StandIn())
    assert comparing(search, pays=True) == Needing(search, Resources(gpu=True))
    assert comparing(search, pays=False) == Needing(search, NOTHING)


def test_a_search_asks_for_a_gpu_in_its_largest_products_alone(gpu, tmp_path, monkeypatch):
    monkeypatch.setattr(difference, "SEARCHED", 10)
    monkeypatch.setattr(difference, "ASSIGNED", 1000)
    ids, vectors = corpus(3, 600)
    names, asking = write_parts(tmp_path, ids, vectors, [300]), set()

    def run(fn, items):
        asking.update({fn.__name__} if isinstance(fn, Needing) and fn.needs.gpu else ())
        return [fn(item) for item in items]

    searched(tmp_path, "search", names, 600, NearSearch(0.8, 4, bucket_rows=20), run=run)
    assert asking == {"search"}


def test_several_buckets_are_searched_at_a_time_with_the_same_bytes(gpu, tmp_path, monkeypatch):
    results = []
    for cores in ("1", "4"):
        monkeypatch.setenv(CORES, cores)
        folder = tmp_path / cores
        folder.mkdir()
        ids, vectors = corpus(3, 600)
        found = searched(
            folder, "search", write_parts(folder, ids, vectors, [300]), 600, NearSearch(0.8, 4, bucket_rows=20)
        )
        results.append([(folder / name).read_bytes() for name in found.files])
    assert results[0] == results[1]
