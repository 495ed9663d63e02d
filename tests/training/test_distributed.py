from typing import Any

import pytest
import torch

from training.distributed import fast_products, products_in_onednn


def setting() -> str:
    matmul: Any = torch.backends.mkldnn.matmul
    return str(matmul.fp32_precision)


def test_fp32_products_stay_fp32_whatever_the_processor() -> None:
    before = setting()
    a, b = torch.randn(2, 300, 300, generator=torch.Generator().manual_seed(1))
    exact = a.double() @ b.double()
    with fast_products(torch.device("cpu")):
        assert float(((a @ b) - exact).abs().max() / exact.abs().max()) < 1e-5
    assert setting() == before


@pytest.mark.parametrize(("limit", "kept"), [(0.0, False), (1.0, True)])
def test_the_faster_products_are_used_only_where_the_probe_finds_them_exact(
    monkeypatch: pytest.MonkeyPatch, limit: float, kept: bool
) -> None:
    monkeypatch.setattr("training.distributed.EXACT", limit)
    with fast_products(torch.device("cpu")):
        assert products_in_onednn() is kept
    with fast_products(torch.device("cuda")):
        assert not products_in_onednn()
