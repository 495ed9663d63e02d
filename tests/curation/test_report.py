"""The report of a dataset version says everything, escapes everything, and stays small."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curation.report import charts, render, samples, words
from curation.report.pages import number, share, span
from curation.report.thumbnails import MAX_BYTES, data_uri
from shared.contracts import DROPPED, MANIFEST, REASONS, SIGNALS
from shared.published import Published
from shared.storage import Store

NASTY = "a<script>alert(1)</script>&\"b'.jpg"
RECIPE = {"curation": {"quality": {"rules": [{"kind": "dark", "threshold": 0.32}, {"kind": "blurry"}]}}}


def picture(seed: int, side: int = 160) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


NOISE = [picture(seed) for seed in range(4)]


def pictures(uris: list[str]) -> dict[str, bytes]:
    return {uri: NOISE[len(uri) % 4] for uri in uris}


def kept_row(uri: str, **more: Any) -> dict[str, Any]:
    signals = dict.fromkeys(SIGNALS, 0.5)
    shape = {"width": 90, "height": 80, "bytes": 4000, "format": "jpeg"}
    return {"image_id": "0" * 32, "uri": uri, "source": "photos", **shape, **signals, **more}


def dropped_row(uri: str, reason: str, **more: Any) -> dict[str, Any]:
    kept = "/photos/kept/0.jpg" if reason in words.PAIRED else None
    return {"uri": uri, "source": "photos", "stage": "quality", "reason": reason, "kept_uri": kept, **more}


def published(folder: Path, kept: list[dict[str, Any]], dropped: list[dict[str, Any]], **info: Any) -> Published:
    for rows, contract in ((kept, MANIFEST), (dropped, DROPPED)):
        (folder / contract.name).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=contract.schema), folder / contract.name / "part-0.parquet")
    (folder / "dataset.json").write_text(json.dumps(info))
    return Published(Store(str(folder)), "photos", "v0001")


def test_every_reason_has_its_section_and_its_count(tmp_path: Path) -> None:
    dropped = [dropped_row(f"/photos/{reason}/{i}.jpg", reason) for reason in REASONS for i in range(3)]
    html = render(published(tmp_path, [kept_row("/photos/kept/0.jpg")], dropped), pictures)
    for reason in REASONS:
        assert f'<h2 id="{reason}">{words.title(reason)} <span class="soft">3</span>' in html
        assert words.meaning(reason) in html
    assert re.findall(r'<h2 id="(\w+)"', html) == list(REASONS)


def test_names_and_errors_are_escaped_wherever_they_stand(tmp_path: Path) -> None:
    kept = [kept_row(f"/photos/kept/{NASTY}", label=NASTY), kept_row("/photos/kept/0.jpg")]
    dropped = [
        dropped_row(f"/photos/1/{NASTY}", "unreadable", error=NASTY),
        dropped_row(f"/photos/2/{NASTY}", "near_duplicate", value=0.9, threshold=0.6),
        dropped_row(f"/photos/3/{NASTY}", NASTY, source=NASTY),
    ]
    sources = {NASTY: {"indexed": 1, "kept": 0, "dropped": 1}}
    info = {
        "counts": {"sources": sources},
        "lineage": {NASTY: NASTY},
        "tools": {NASTY: NASTY},
        "recipe": {NASTY: NASTY},
    }
    html = render(published(tmp_path, kept, dropped, **info), pictures)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") > 15


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    html = render(published(tmp_path, [kept_row("/photos/kept/0.jpg")], [dropped_row("/x.jpg", "dark")]), pictures)
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)|url\(|@import""", html)


def test_evidence_is_said_in_words_and_beside_its_limit(tmp_path: Path) -> None:
    dropped = [
        dropped_row("/a.jpg", "low_information", value=1.2, threshold=3.0),
        dropped_row("/b.jpg", "perceptual_duplicate", value=4, threshold=6),
        dropped_row("/c.jpg", "near_duplicate", value=0.7312, threshold=0.6),
        dropped_row("/d.jpg", "too_small", value=12, threshold=32),
        dropped_row("/e.jpg", "unreadable", error="the file is empty"),
    ]
    html = render(published(tmp_path, [kept_row("/photos/kept/0.jpg")], dropped, recipe=RECIPE), pictures)
    for text in (
        "entropy 1.20 bits, below 3",
        "4 of 64 hash bits differ, a copy up to 6",
        "similarity 0.731, a copy from 0.600",
        "shorter side 12 px, below 32",
        "the file is empty",
        "limit 0.32",
        "limit 3",
    ):
        assert text in html


def test_the_largest_page_of_the_worst_pictures_is_below_three_megabytes(tmp_path: Path) -> None:
    uris = [f"/photos/kept/{i}.jpg" for i in range(300)]
    dropped = [
        dropped_row(f"/photos/{reason}/{i}.jpg", reason, value=0.01 * i, threshold=0.5) | {"kept_uri": uris[i]}
        for reason in REASONS
        for i in range(120)
    ]
    shown = render(published(tmp_path, [kept_row(uri) for uri in uris], dropped), pictures)
    assert 1e6 < len(shown.encode()) < 3e6
    assert shown.count("close call</span>") == 4 * 3


def test_a_page_is_made_where_nothing_was_dropped_labelled_or_kept(tmp_path: Path) -> None:
    whole = render(published(tmp_path / "a", [kept_row("/photos/kept/0.jpg")], []), pictures)
    assert "Nothing was dropped" in whole
    assert "<h2>Labels" not in whole
    none = render(published(tmp_path / "b", [], [dropped_row("/x.jpg", "dark", value=0.1, threshold=0.3)]), pictures)
    assert "Nothing was kept" in none
    empty = Published(Store(str(tmp_path / "c")), "photos", "v0001")
    empty.store.write("dataset.json", "{}")
    assert "images found" in render(empty, pictures)


def test_a_missing_picture_leaves_a_frame(tmp_path: Path) -> None:
    html = render(published(tmp_path, [kept_row("/photos/kept/0.jpg", label="cat")], []), lambda uris: {})
    assert "no picture" in html
    assert "<h2>Labels" in html


def test_the_same_dataset_gives_the_same_page(tmp_path: Path) -> None:
    dataset = published(tmp_path, [kept_row(f"/k/{i}.jpg") for i in range(200)], [])
    assert render(dataset, pictures) == render(dataset, pictures)


def test_only_the_pictures_that_are_shown_are_asked_for(tmp_path: Path) -> None:
    asked: list[str] = []
    dropped = [dropped_row(f"/u/{i}.jpg", "unreadable") for i in range(9)]
    dataset = published(tmp_path, [kept_row(f"/k/{i}.jpg") for i in range(500)], dropped)
    render(dataset, lambda uris: asked.extend(uris) or {})  # type: ignore[func-returns-value]
    assert len(asked) == 48
    assert not any(uri.startswith("/u/") for uri in asked)


def test_a_sample_is_small_and_always_the_same() -> None:
    table = pa.table({"x": list(range(1000))})
    first = samples.rows(table, 10)["x"].to_pylist()
    assert first == samples.rows(table, 10)["x"].to_pylist()
    assert len(set(first)) == 10
    assert set(samples.rows(table.slice(0, 5), 10)["x"].to_pylist()) == set(range(5))


@pytest.mark.parametrize("data", [b"", b"not a picture", None])
def test_a_thumbnail_of_no_picture_is_none(data: bytes | None) -> None:
    assert data_uri(data) is None


def test_a_thumbnail_stays_within_its_bytes() -> None:
    uri = data_uri(picture(0, 600))
    assert uri is not None
    assert uri.startswith("data:image/jpeg;base64,")
    assert len(uri) * 3 / 4 < MAX_BYTES * 1.2


def test_charts_leave_out_what_is_no_number_and_escape_names() -> None:
    nan = float("nan")
    chart = charts.lines(
        [charts.Series("<b>", [0, 1, 2], [1, nan, 3])], x_name="<i>", title="<u>", baselines=[("<s>", 2)]
    )
    assert "nan" not in chart
    assert not re.search("<[bius]>", chart)
    assert charts.lines([charts.Series("x", [0], [nan])], x_name="x", title="x") == ""
    assert charts.lines([charts.Series("x", [5], [0.0])], x_name="x", title="x").count("<circle") == 1
    long = charts.lines([charts.Series("x", range(10**5), range(10**5))], x_name="x", title="x")
    assert len(long) < 10_000


def test_a_histogram_draws_its_limit() -> None:
    drawn = charts.histogram(np.array([0.1, 0.1, 0.9]), (0, 1), name="x", threshold=0.5)
    assert drawn.count('class="bar"') == 2
    assert "limit 0.5" in drawn
    assert "limit" not in charts.histogram(np.array([0.1]), (0, 1), name="x", threshold=7.0)


def test_numbers_are_written_for_people() -> None:
    assert [number(x) for x in (3, 0.41234, 1234.5, 1e-5, float("nan"), "text", True)] == [
        "3", "0.412", "1,234", "1.00e-05", "nan", "text", "True"
    ]  # fmt: skip
    assert [share(*x) for x in ((1, 3), (1, 10**6), (0, 0), (5, 5))] == ["33.3 %", "< 0.1 %", "–", "100 %"]
    assert [span(x) for x in (1.26, 300, 9000, 10**6)] == ["1.3 s", "5.0 min", "2.5 h", "11.6 days"]
    assert charts.ticks(0, 1) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert [charts.short(x) for x in (0, 0.25, 1500, 20000, 1.5e6)] == ["0", "0.25", "1,500", "20k", "1.5M"]
