"""Curation makes the same bytes on processors of different kinds: machines of one cluster may be of several.

OpenCV keeps its own kernels: without them a few scores of comparisons of 1,620 photographs differ by a step.
"""

import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import encoded, picture

from tests.waiting import LIMIT_SECONDS

OLD = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
}
"""A processor without AVX, as far as NumPy and its products see it."""
NEW = {"OPENBLAS_CORETYPE": "Haswell"}
CURATE = """
import sys
from curation.stages import STAGES
from tests.publishers import session

work = session(sys.argv[1], sys.argv[2], dedup={}, balance={"enabled": True, "levels": (12, 4)})
for stage in STAGES:
    work.make(stage)
"""


def curated(photos: Path, workspace: Path, processor: dict[str, str]) -> dict[str, str]:
    """Return the digests of all parts that a process makes which takes its processor for another."""
    own = {name: value for name, value in os.environ.items() if name not in OLD}
    own["PYTHONPATH"] = os.pathsep.join(sys.path)
    subprocess.run(
        [sys.executable, "-c", CURATE, str(photos), str(workspace)],
        env=own | processor,
        check=True,
        timeout=LIMIT_SECONDS,
    )
    parts = sorted(workspace.glob("stages/*/*.parquet"))
    return {str(part.relative_to(workspace)): hashlib.sha256(part.read_bytes()).hexdigest() for part in parts}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="kernels of x86 are compared")
def test_all_that_stages_make_is_the_same_whatever_the_processor_can_do(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(120):
        (photos / f"{i:03}.jpg").write_bytes(encoded(picture(i, (90 + i, 60 + i // 2)), quality=40 + i // 4))
        if i % 10 == 0:
            (photos / f"{i:03}-copy.jpg").write_bytes(encoded(picture(i, (90 + i, 60 + i // 2)), quality=30))
    old, new = (curated(photos, tmp_path / name, one) for name, one in (("old", OLD), ("new", NEW)))
    assert {name.split("/")[1] for name in old} >= {"measure", "quality", "candidates", "verify", "dedup", "balance"}
    assert old == new
