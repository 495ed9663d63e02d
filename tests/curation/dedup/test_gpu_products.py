"""What only a GPU can show of curation. `benchmarks/gpu/checks.py` runs the same without pytest."""

import unittest

import pytest
import torch

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.mark.gpu
@on_a_gpu
def test_a_gpu_finds_the_pairs_of_a_cpu_byte_for_byte() -> None:
    try:
        import faiss

        from tests.benchmarks.gpu.buckets import CASES, MANY, given, work_of
    except ImportError as error:
        raise unittest.SkipTest(f"no {error.name} here") from None
    if not faiss.get_num_gpus():
        raise unittest.SkipTest("this faiss has no GPU")
    from curation.dedup.ivf.products import gpu_products

    for case in (*CASES, MANY):
        for name, work in work_of(case._replace(rows=4000)).items():
            with given(gpu=True):
                assert gpu_products(), "FAISS cannot use the GPU, or rounds on it"
                on_gpu = work()
            with given(gpu=False):
                assert on_gpu.equals(work()), (name, case.title)
