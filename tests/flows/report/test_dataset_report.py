"""The report of a dataset version says everything, escapes everything, and stays small."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from markupsafe import escape
from PIL import Image

from curation.publish.lineage import Lineage
from curation.publish.read_back import Original, originals
from curation.publish.reasons import REASONS
from flows.report.dataset import Evidence, render, samples
from flows.report.dataset.funnel import funnel
from flows.report.dataset.pictures import Thumbnails
from flows.report.dataset.unreadable import LISTED, unreadable_files
from flows.report.kit import charts, reason_text
from flows.report.kit.pages import number, share, size, span
from flows.report.kit.thumbnails import MAX_BYTES, data_uri
from shared.catalog import CONFLICTS, DROPPED, MANIFEST, SIGNALS
from shared.dataset_version import Published
from shared.storage import Store

NASTY = "a<script>alert(1)</script>&\"b'.jpg"
RECIPE = {"curation": {"quality": {"rules": [{"kind": "dark", "threshold": 0.32}, {"kind": "blurry"}]}}}


def picture(seed: int, side: int = 160) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


NOISE = [picture(seed) for seed in range(4)]


def pictures(uris: list[str]) -> dict[str, Original]:
    return {uri: Original(NOISE[len(uri) % 4]) for uri in uris}


def section(html: str, name: str) -> str:
    """What stands between a heading and the next."""
    return html.split(f'<h2 id="{name}"')[1].split("<h2")[0]


def kept_row(uri: str, **more: Any) -> dict[str, Any]:
    signals = dict.fromkeys(SIGNALS, 0.5)
    shape = {"width": 90, "height": 80, "bytes": 4000, "format": "jpeg"}
    return {"image_id": "0" * 32, "uri": uri, "source": "photos", **shape, **signals, **more}


def dropped_row(uri: str, reason: str, **more: Any) -> dict[str, Any]:
    kept = "/photos/kept/0.jpg" if reason in reason_text.PAIRED else None
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
        assert f'<h2 id="{reason}">{reason_text.title(reason)} <span class="soft">3</span>' in html
        assert escape(reason_text.meaning(reason)) in html
    assert [name for name in re.findall(r'<h2 id="(\w+)"', html) if name in REASONS] == list(REASONS)


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
        dropped_row("/b.jpg", "perceptual_duplicate", value=1.12, threshold=1, orientation="mirrored"),
        dropped_row("/c.jpg", "near_duplicate", value=0.7312, threshold=0.6),
        dropped_row("/d.jpg", "too_small", value=12, threshold=32),
        dropped_row("/e.jpg", "unreadable", error="the file is empty"),
        dropped_row("/f.jpg", "blurry", value=0.2899, threshold=0.29),
    ]
    html = render(published(tmp_path, [kept_row("/photos/kept/0.jpg")], dropped, recipe=RECIPE), pictures)
    for text in (
        "entropy 1.20 bits, below 3",
        "match 1.12, a copy from 1.00, mirrored",
        "similarity 0.731, a copy from 0.600",
        "shorter side 12 px, below 32",
        "the file is empty",
        "sharpness 0.2899, below 0.29",
        "limit 0.32",
        "limit 3",
    ):
        assert text in html


def test_the_largest_page_of_the_worst_pictures_is_below_five_megabytes(tmp_path: Path) -> None:
    uris = [f"/photos/kept/{i}.jpg" for i in range(300)]
    dropped = [
        dropped_row(f"/photos/{reason}/{i}.jpg", reason, value=0.01 * i, threshold=0.5) | {"kept_uri": uris[i]}
        for reason in REASONS
        for i in range(120)
    ]
    shown = render(published(tmp_path, [kept_row(uri) for uri in uris], dropped), pictures)
    assert 1e6 < len(shown.encode()) < 5e6
    assert shown.count("data:image/jpeg") <= 400


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
    assert len(asked) == len(set(asked)) < 80
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


def test_a_histogram_stacks_its_classes_and_draws_its_limit() -> None:
    stacks = [("kept", np.array([0.1, 0.1, 0.9])), ("quality", np.array([0.1]))]
    drawn = charts.histogram(stacks, (0, 1), name="x", threshold=0.5)
    assert (drawn.count('class="bar kept"'), drawn.count('class="bar quality"')) == (2, 1)
    assert "limit 0.5" in drawn
    assert "limit 7 →" in charts.histogram(stacks, (0, 1), name="x", threshold=7.0)
    assert "limit" not in charts.histogram(stacks, (0, 1), name="x")


def test_a_bar_of_one_image_among_a_million_is_seen() -> None:
    values = np.append(np.full(10**6, 0.9), 0.1)
    heights = re.findall(r' height="([\d.]+)"', charts.histogram([("kept", values)], (0, 1), name="x"))
    assert min(map(float, heights)) >= 1.5


def test_numbers_are_written_for_people() -> None:
    assert [number(x) for x in (3, 0.41234, 1234.5, 1e-5, float("nan"), "text", True)] == [
        "3", "0.412", "1,234", "1.00e-05", "nan", "text", "True"
    ]  # fmt: skip
    assert [share(*x) for x in ((1, 3), (1, 10**6), (0, 0), (5, 5))] == ["33.3 %", "< 0.1 %", "–", "100 %"]
    assert [span(x) for x in (1.26, 300, 9000, 10**6)] == ["1.3 s", "5.0 min", "2.5 h", "11.6 days"]
    assert [size(x) for x in (12, 3400, 5.6e6, 7.89e9, 2e12)] == ["12 bytes", "3.4 kB", "5.6 MB", "7.89 GB", "2 TB"]
    assert charts.ticks(0, 1) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert [charts.short(x) for x in (0, 0.25, 1500, 20000, 1.5e6)] == ["0", "0.25", "1,500", "20k", "1.5M"]


def measured(values: list[float], reasons: list[str | None]) -> pa.Table:
    columns: dict[str, Any] = dict.fromkeys((*SIGNALS, "width", "height"), values)
    return pa.table({"reason": pa.array(reasons, pa.string()), **columns})


def test_histograms_are_of_all_measured_images_where_these_are_known(tmp_path: Path) -> None:
    dropped = [dropped_row("/d.jpg", "dark", value=0.1, threshold=0.32)]
    dataset = published(tmp_path, [kept_row("/photos/kept/0.jpg")], dropped, recipe=RECIPE)
    everything = Evidence(measured([0.5, 0.1, 0.2], [None, "dark", "odd_aspect"]))
    card = section(render(dataset, pictures, everything), "limits").split("<h3>Dark")[1].split("<h3>")[0]
    assert [card.count(f'class="bar {group}"') for group in ("kept", "quality", "broken")] == [1, 1, 1]
    alone = section(render(dataset, pictures), "limits")
    assert 'class="bar quality"' not in alone
    assert "were deleted with the stage cache" in alone


def test_both_sides_of_every_limit_are_shown_nearest_first(tmp_path: Path) -> None:
    kept = [kept_row(f"/photos/kept/{i}.jpg", luma_p99=0.33 + i / 100) for i in range(9)]
    dropped = [dropped_row(f"/photos/dark/{i}.jpg", "dark", value=0.31 - i / 100, threshold=0.32) for i in range(9)]
    html = section(render(published(tmp_path, kept, dropped, recipe=RECIPE), pictures), "limits")
    card = html.split("<h3>Dark")[1].split("<h3>")[0]
    assert re.findall(r"<b>brightest pixels (\S+)</b>", card) == [
        "0.31", "0.30", "0.29", "0.28", "0.33", "0.34", "0.35", "0.36"
    ]  # fmt: skip


def test_a_rule_whose_score_is_not_published_shows_what_it_dropped(tmp_path: Path) -> None:
    dropped = [dropped_row("/n.jpg", "nsfw", value=0.97, threshold=0.9)]
    html = render(published(tmp_path, [kept_row("/photos/kept/0.jpg")], dropped), pictures)
    assert "model score 0.97, above 0.9" in html
    assert "nudity" in html
    assert "do not hold this score" in html


def test_the_largest_groups_of_copies_come_first_with_reason_and_score(tmp_path: Path) -> None:
    recipe = {"curation": {"dedup": {"near": {"verify": "geometric"}}}}
    kept = [kept_row(f"/photos/kept/{i}.jpg") for i in range(20)]
    dropped = [
        dropped_row(f"/photos/copy/{i}-{j:02}.jpg", "near_duplicate", value=1.31, threshold=1.0)
        | {"kept_uri": f"/photos/kept/{i}.jpg"}
        for i in range(20)
        for j in range(i + 1)
    ]
    html = section(render(published(tmp_path, kept, dropped, recipe=recipe), pictures), "copies")
    assert "20 groups" in html
    assert re.findall(r"replaces (\d+)", html) == [str(n) for n in range(20, 8, -1)]
    assert html.count("match 1.31") == 12 * 6
    assert "and 14 more" in html


def test_an_image_that_stands_for_copies_but_was_left_out_for_balance_is_not_called_kept(tmp_path: Path) -> None:
    copies = [dropped_row(f"/d{i}.jpg", "exact_duplicate") | {"kept_uri": f"/photos/kept/{i}.jpg"} for i in range(2)]
    html = render(published(tmp_path, [kept_row("/photos/kept/0.jpg")], copies), pictures)
    for name in ("copies", "exact_duplicate"):
        told = re.findall(r'<span class="tag (?:kept|sampled)">(.*?)</span>', section(html, name))
        assert sorted(told) == ["kept", "left out for balance"]


def test_pairs_that_are_just_no_copies_are_shown_beside_those_that_are(tmp_path: Path) -> None:
    recipe = {"curation": {"dedup": {"near": {"verify": "geometric"}}}}
    kept = [kept_row(f"/k/{i}.jpg") for i in range(4)]
    copy = dropped_row("/d.jpg", "near_duplicate", value=1.02, threshold=1.0) | {"kept_uri": "/k/0.jpg"}
    pairs = pa.table(
        {
            "uri": ["/k/1.jpg", "/k/2.jpg", "/k/3.jpg", "/gone.jpg"],
            "other_uri": ["/k/0.jpg", "/k/1.jpg", "/k/0.jpg", "/k/0.jpg"],
            "score": pa.array([1.1, 0.42, 1.7, 0.98], pa.float32()),
            "verdict": ["look-alike", "other", "copy", "other"],
        }
    )
    html = section(render(published(tmp_path, kept, [copy], recipe=recipe), pictures, Evidence(pairs=pairs)), "edges")
    assert re.findall(r"match ([\d.]+)", html) == ["1.02", "1.10", "0.42"]
    assert "match 1.10, look-alike" in html
    assert "a copy from 1.00" in html


def test_sources_and_reasons_make_one_table(tmp_path: Path) -> None:
    kept = [kept_row("/a/1.jpg", source="a"), kept_row("/b/1.jpg", source="b")]
    dropped = [dropped_row(f"/b/{i}.jpg", "dark", source="b") for i in range(2, 7)]
    dropped.append(dropped_row("/a/2.jpg", "blurry", source="a"))
    html = section(render(published(tmp_path, kept, dropped), pictures), "why")
    rows = {
        re.sub("<.*?>", " ", row.partition(">")[2]).split()[0]: re.findall(r'<td class="n[^"]*">([\d,·]+)', row)
        for row in html.split("<tr")[2:]
    }
    assert rows == {
        "Dark": ["5", "62", "5", "·"],
        "Blurry": ["1", "12", "·", "1"],
        "Found": ["8", "6", "2"],
        "Kept": ["2", "25", "1", "1"],
    }


def test_the_steps_of_the_funnel_lead_from_all_images_to_the_kept_ones() -> None:
    reasons = {"unreadable": 1, "dark": 2, "near_duplicate": 3, "contaminated": 4, "not_sampled": 5}
    steps = funnel(85, reasons, {None: 850} | {reason: 10 * n for reason, n in reasons.items()})
    assert [step["title"] for step in steps] == ["Found", "Readable", "Good", "Unique", "Uncontaminated", "Sampled"]
    assert [step["images"] for step in steps] == [100, 99, 97, 94, 90, 85]
    assert [step["bytes"] for step in steps] == [1000, 990, 970, 940, 900, 850]
    assert len(funnel(85, {"dark": 2}, {})) == 4


def test_evaluation_sets_are_counted_one_by_one(tmp_path: Path) -> None:
    dropped = [
        dropped_row(f"/c/{i}.jpg", "contaminated", value=0.95, threshold=0.9) | {"kept_uri": f"/eval/{i}.jpg"}
        for i in range(3)
    ]
    info = {"search": {"decontaminate": {"contaminated": {"flowers": 5, "pets": 1}}}}
    sets = {f"/eval/{i}.jpg": "flowers" if i else "pets" for i in range(3)}
    html = render(published(tmp_path, [kept_row("/photos/kept/0.jpg")], dropped, **info), pictures, Evidence(sets=sets))
    told = section(html, "sets")
    assert re.findall(r"<td>(\w+)</td><td class=\"n\">(\d+)</td><td class=\"n\">(\d+)", told) == [
        ("flowers", "5", "2"),
        ("pets", "1", "1"),
    ]
    assert "similarity 0.950, too close from 0.900" in section(html, "contaminated")
    assert reason_text.evidence("contaminated", 1.0, 1.0) == "equal pixels"


def test_clusters_are_shown_before_and_after(tmp_path: Path) -> None:
    kept = [kept_row(f"/k/{i}.jpg", cluster=i % 2) for i in range(6)]
    clusters = pa.table({"before": [90, 10, 4], "after": [5, 4, 3]})
    dataset = published(tmp_path, kept, [])
    html = section(render(dataset, pictures, Evidence(clusters=clusters)), "balance")
    assert "3 clusters" in html
    assert "12 of 104 were taken" in html
    assert "from 90 images to 5" in html
    assert "2 clusters" in section(render(dataset, pictures), "balance")


def test_the_most_frequent_errors_come_first_each_with_one_file(tmp_path: Path) -> None:
    dropped = [dropped_row(f"/{i}.jpg", "unreadable", error="cut off" if i else "no image") for i in range(4)]
    html = section(render(published(tmp_path, [], dropped), pictures), "unreadable")
    assert re.findall(r'<td class="n">(\d+)</td><td>(.*?)</td>', html) == [("3", "cut off"), ("1", "no image")]


def test_a_page_never_carries_more_pictures_than_it_should() -> None:
    album = Thumbnails({str(i): Original(NOISE[0]) for i in range(9)}, most=5)
    assert [album.of(str(i)) is not None for i in range(9)] == [True] * 5 + [False] * 4


def test_a_picture_is_turned_as_its_source_says() -> None:
    file = io.BytesIO()
    Image.new("RGB", (90, 30), "red").save(file, "PNG")
    turned = data_uri(file.getvalue(), rotation=90)
    assert turned is not None
    assert Image.open(io.BytesIO(base64.b64decode(turned.partition(",")[2]))).size == (30, 90)


def test_kept_pictures_come_from_the_shards_with_their_rotation(tmp_path: Path) -> None:
    stored = {"shard": "shard-000000.tar", "offset": 3, "length": len(NOISE[0]), "rotation": 270}
    dataset = published(tmp_path, [kept_row("/gone/0.jpg", **stored)], [])
    dataset.store.write("shards/shard-000000.tar", b"xyz" + NOISE[0] + b"xyz")
    found = originals(dataset, Lineage(Store(str(tmp_path)), {}), ["/gone/0.jpg", "/gone/1.jpg"])
    assert found == {"/gone/0.jpg": Original(NOISE[0], 270)}


ALARM = {"reason": "dark", "source": "scans<b>", "label": None, "taken": 30, "of": 30}


def test_what_to_look_at_stands_first_and_leads_to_its_section(tmp_path: Path) -> None:
    info = {"alarms": [ALARM], "label_conflicts": 2, "search": {"decontaminate": {"unreadable": {"val": 3}}}}
    info["search"]["dedup"] = {"compared": 9000, "most_pictures": 7000}
    dropped = [dropped_row(f"/{i}.jpg", "dark", value=0.1, threshold=0.32) for i in range(30)]
    html = render(published(tmp_path, [kept_row("/photos/kept/0.jpg")], dropped, **info), pictures)
    first = section(html, "first")
    assert '<a href="#dark">Dark took all 30 images of scans&lt;b&gt;.</a>' in first
    assert "2 copies with another label" in first
    assert "3 images of the evaluation set val unreadable" in first
    assert '<a href="#copies">7,000 pictures among 9,000 images hang together' in first
    assert "more than 50 %" in first
    assert html.index('id="first"') < html.index('id="stages"')
    assert 'id="first"' not in render(published(tmp_path / "quiet", [kept_row("/a.jpg")], []), pictures)


def test_the_unreadable_images_of_an_evaluation_set_stand_beside_its_counts(tmp_path: Path) -> None:
    search = {"decontaminate": {"contaminated": {"val": 1, "test": 0}, "unreadable": {"val": 3}}}
    html = section(render(published(tmp_path, [kept_row("/a.jpg")], [], search=search), pictures), "sets")
    assert "Of its own unreadable" in html
    assert re.findall(r"<tr><td>(\w+)</td>.*?<td class=\"n\">(\d+)</td></tr>", html) == [("val", "3"), ("test", "0")]


def test_labels_that_conflict_are_counted_and_shown_with_both_pictures(tmp_path: Path) -> None:
    dataset = published(tmp_path, [kept_row(f"/photos/kept/{i}.jpg") for i in range(9)], [])
    rows = [
        {
            "uri": f"/photos/copy/{i}.jpg",
            "label": "dog" if i else NASTY,
            "kept_label": "cat",
            "reason": "exact_duplicate",
        }
        | {"kept_uri": f"/photos/kept/{i}.jpg", "source": "a", "kept_source": "b"}
        for i in range(9)
    ]
    (tmp_path / "conflicts").mkdir()
    pq.write_table(pa.Table.from_pylist(rows, CONFLICTS.schema), tmp_path / "conflicts/part-000000.parquet")
    html = section(render(dataset, pictures), "conflicts")
    assert '<td class="n">8</td><td>dog</td><td>cat</td>' in html
    assert html.count('<div class="pair">') == 8
    assert html.count("data:image/jpeg") == 16
    assert "<script" not in html


def test_every_error_is_listed_and_the_files_of_each(tmp_path: Path) -> None:
    errors = {"cut off": 40, "no image": 3, NASTY: 1}
    dropped = [
        dropped_row(f"/{place}/{i:04}.jpg", "unreadable", error=error)
        for place, (error, count) in enumerate(errors.items())
        for i in range(count)
    ]
    html = section(render(published(tmp_path, [], dropped), pictures), "unreadable")
    assert all(f'title="{row["uri"]}"' in html for row in dropped)
    assert "more, in the table" not in html


def test_errors_that_differ_in_a_number_or_a_name_are_of_one_kind() -> None:
    errors = [f"truncated ({n} bytes, '/a/{n}.jpg')" for n in (5, 61, 700)] + ["the file is empty"]
    listed = unreadable_files(pa.table({"uri": [f"/{i}.jpg" for i in range(4)], "error": errors}))
    assert [(one["text"], one["count"]) for one in listed] == [("truncated (… bytes, …)", 3), ("the file is empty", 1)]


def test_a_frequent_error_leaves_room_for_rare_ones_and_says_how_many_are_not_listed() -> None:
    rows = [{"uri": f"/a/{i}.jpg", "error": "cut off"} for i in range(5000)] + [{"uri": "/b/0.jpg", "error": None}]
    listed = unreadable_files(pa.Table.from_pylist(rows))
    assert [(one["text"], one["count"], len(one["files"]) + one["more"]) for one in listed] == [
        ("cut off", 5000, 5000),
        ("no details", 1, 1),
    ]
    assert sum(len(one["files"]) for one in listed) <= LISTED
    assert listed[1]["files"] == [("/b/0.jpg", "b/0.jpg")]


def test_what_was_passed_over_is_shown_where_a_version_tells(tmp_path: Path) -> None:
    passed = {"photos": [{"why": "name", "ending": ".txt", "count": 12, "examples": ["a.txt", NASTY]}]}
    html = render(published(tmp_path, [kept_row("/a.jpg")], [], passed_over=passed), pictures)
    assert '<td>photos</td><td class="n">12</td><td><code>.txt</code></td>' in section(html, "passed")
    assert "no images by their names" in section(html, "passed")
    assert "<script" not in html
    assert 'id="passed"' not in render(published(tmp_path / "quiet", [kept_row("/a.jpg")], []), pictures)


def test_what_was_guessed_of_labels_is_shown(tmp_path: Path) -> None:
    guesses = {"photos": [{"guess": "folder", "text": "labels are the names of folders, such as cats", "images": 7}]}
    html = render(published(tmp_path, [kept_row("/a.jpg")], [], guessed=guesses), pictures)
    assert '<td class="n">7</td><td>labels are the names of folders, such as cats</td>' in section(html, "guessed")


def test_look_alikes_are_pairs_of_kept_images_that_verification_calls_so(tmp_path: Path) -> None:
    kept = [kept_row(f"/photos/kept/{i}.jpg") for i in range(4)]
    rows = [
        ("0", "1", 0.9, "look-alike"),
        ("2", "3", 0.7, "look-alike"),
        ("1", "2", 0.4, "other"),
        ("0", "x", 1, "copy"),
    ]
    pairs = pa.table(
        {
            "uri": [f"/photos/kept/{one}.jpg" for one, *_ in rows],
            "other_uri": [f"/photos/kept/{other}.jpg" for _, other, *_ in rows],
            "score": pa.array([row[2] for row in rows], pa.float32()),
            "verdict": [row[3] for row in rows],
        }
    )
    html = section(render(published(tmp_path, kept, []), pictures, Evidence(pairs=pairs)), "look-alikes")
    assert re.findall(r"<p>match ([\d.]+)</p>", html) == ["0.90", "0.70"]
    assert 'id="look-alikes"' not in render(
        published(tmp_path / "b", kept, []), pictures, Evidence(pairs=pairs.drop("verdict"))
    )


def test_a_version_of_an_older_dinoflow_that_has_no_labels_of_dropped_images_is_drawn(tmp_path: Path) -> None:
    dataset = published(tmp_path, [kept_row("/photos/kept/0.jpg")], [dropped_row("/a.jpg", "dark", value=0.1)])
    part = tmp_path / "dropped/part-0.parquet"
    pq.write_table(pq.read_table(part).drop("label"), part)
    assert "Even the brightest pixels are dark." in render(dataset, pictures)
