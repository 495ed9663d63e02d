"""A collection whose folders were renamed is curated without a look at pixels, and as one that always lay so."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import encoded, picture

from curation.dedup import verify
from curation.measure import measure as measuring
from shared.dataset_version import Published
from tests.publishers import publish


def tables(dataset: Published) -> list[dict[str, object]]:
    """Return the rows of a version; where in which shard they lie depends on the versions before."""
    rows = [
        row
        for folder in ("manifest", "dropped")
        for name in dataset.files(folder)
        for row in pq.read_table(dataset.store.path(name)).to_pylist()
    ]
    places = ("shard", "offset", "length")
    return sorted(({k: v for k, v in row.items() if k not in places} for row in rows), key=lambda row: str(row["uri"]))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Thirty pictures, and a smaller copy of each beside it."""
    for i in range(30):
        for name, image in ((f"{i}.jpg", picture(i)), (f"{i}s.jpg", picture(i).resize((100, 75)))):
            path = tmp_path / "photos" / f"folder {i % 3}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(image))
    return tmp_path / "photos"


def test_renamed_folders_cost_no_decode_and_no_comparison(root, tmp_path, monkeypatch) -> None:
    looks: list[str] = []
    for module, name in ((measuring, "decode"), (verify, "compared")):
        plain = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given, name=name, plain=plain: looks.append(name) or plain(*given))
    publish(root, tmp_path / "w")
    assert looks.count("decode") == 60
    assert looks.count("compared") >= 30
    for i in (0, 2):
        (root / f"folder {i}").rename(root / f"renamed {i}")
    looks.clear()
    again = publish(root, tmp_path / "w")
    assert looks == []
    fresh = publish(root, tmp_path / "fresh")
    assert tables(again) == tables(fresh)
    assert any(row.get("reason") for row in tables(again))
