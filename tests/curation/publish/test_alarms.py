"""What a person should look at: reasons that took most of a source or class, copies under two labels, nothing kept."""

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import encoded, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from looked_at import publish
from PIL import Image

from curation.publish import alarms as alarms_of
from curation.publish.alarms import FEWEST, SHARE, alarm_text, alarms, hanging_together
from curation.publish.counts import DROPPED_BY, KEPT_BY, Counts, tally
from flows.commands.warnings import dataset_warnings
from flows.report.dataset.look_first import look_first
from shared.catalog import CONFLICTS
from shared.errors import WorkFailedError


def tables(kept: list[tuple], dropped: list[tuple]) -> tuple[pa.Table, pa.Table]:
    """(source, label) of kept images, (source, label, reason) of dropped ones, as Parquet would give them."""
    text = pa.string()
    left = pa.schema([("source", pa.dictionary(pa.int32(), text)), ("label", text)])
    taken = left.append(pa.field("reason", pa.dictionary(pa.int32(), text)))
    return (
        pa.Table.from_pylist([dict(zip(left.names, row, strict=True)) for row in kept], left),
        pa.Table.from_pylist([dict(zip(taken.names, row, strict=True)) for row in dropped], taken),
    )


def counts(kept: list[tuple], dropped: list[tuple]) -> tuple[Counts, Counts]:
    """Return the counts of tables that stand in several parts."""
    left, taken = tables(kept, dropped)
    return (
        tally((left.slice(start, 7) for start in range(0, len(left), 7)), KEPT_BY),
        tally((taken.slice(start, 7) for start in range(0, len(taken), 7)), DROPPED_BY),
    )


def told(kept: list[tuple], dropped: list[tuple]) -> list[str]:
    return [alarm_text(alarm) for alarm in alarms(*counts(kept, dropped))]


def test_a_reason_that_takes_a_whole_source_or_most_of_a_class_is_told():
    dropped = [("scan12bit", None, "dark")] * 30 + [("web", "cat", "blurry")] * 7
    kept = [("web", "cat")] * 3 + [("web", "dog")] * 90
    assert told(kept, dropped) == ["dark took all 30 images of scan12bit", "blurry took 7 of 10 images of cat in web"]


def test_what_takes_half_or_less_or_of_few_or_was_asked_for_is_not_told():
    assert told([("web", "cat")] * 5, [("web", "cat", "dark")] * 5) == []
    assert told([], [("web", "cat", "dark")] * (FEWEST - 1)) == []
    assert told([("web", "cat")], [("web", "cat", "not_sampled")] * 50) == []


def test_the_classes_of_a_source_that_is_told_are_not_told_again():
    dropped = [("web", f"class {i % 4}", "exact_duplicate") for i in range(40)]
    assert told([], dropped) == ["exact duplicate took all 40 images of web"]


rows = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "y", None]), st.sampled_from(["dark", "blurry", None])),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(rows)
def test_every_group_beyond_the_share_is_covered_by_an_alarm_and_no_other(drawn):
    found = alarms(*counts([row[:2] for row in drawn if not row[2]], [row for row in drawn if row[2]]))
    covered = {(one["source"], one["label"], one["reason"]) for one in found}
    for source in "ab":
        for reason in ("dark", "blurry"):
            for label in (None, "x", "y"):
                group = [row for row in drawn if row[0] == source and label in (None, row[1])]
                taken = sum(row[2] == reason for row in group)
                loud = len(group) >= FEWEST and taken > SHARE * len(group)
                whole = (source, None, reason) in covered
                assert ((source, label, reason) in covered) == (loud and (label is None or not whole))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photographs of two classes; a copy lies under another, one has no label; all scans are dark."""
    root = tmp_path / "photos"
    files: dict[str, bytes] = {f"cats/{i}.jpg": encoded(picture(i, (160, 120))) for i in range(6)}
    files |= {f"dogs/{i}.jpg": encoded(picture(10 + i, (160, 120))) for i in range(6)}
    files |= {f"scans/{i}.jpg": encoded(picture(20 + i, (160, 120)).point(lambda v: v // 6)) for i in range(6)}
    files |= {"dogs/a-cat.png": encoded(Image.open(io.BytesIO(files["cats/2.jpg"])), "PNG")}
    files |= {"no-label.jpg": files["dogs/3.jpg"], "cats/same.jpg": files["cats/1.jpg"]}
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def named(row: dict[str, Any]) -> tuple[str, str, str, str]:
    return Path(row["uri"]).name, row["label"], Path(row["kept_uri"]).name, row["kept_label"]


def test_a_version_tells_its_alarms_and_the_copies_whose_labels_conflict(photos: Path, tmp_path: Path) -> None:
    dataset = publish(photos, tmp_path / "w")
    folder = Path(dataset.store.path("conflicts"))
    table = pq.read_table(folder)
    assert table.schema.names == CONFLICTS.schema.names
    assert {named(row) for row in table.to_pylist()} <= {
        ("a-cat.png", "dogs", "2.jpg", "cats"),
        ("2.jpg", "cats", "a-cat.png", "dogs"),
    }
    assert table.num_rows == dataset.info["label_conflicts"] == 1
    assert dataset_warnings(dataset.info) == [
        "dark took all 6 images of scans in photos",
        "1 copy with another label than the image that stands for it: see conflicts/",
    ]


def test_a_version_without_conflicts_has_no_table_of_them(photos: Path, tmp_path: Path) -> None:
    (photos / "dogs/a-cat.png").unlink()
    dataset = publish(photos, tmp_path / "w")
    assert dataset.info["label_conflicts"] == 0
    assert not Path(dataset.store.path("conflicts")).exists()


def test_nothing_kept_is_a_failure_that_names_what_took_most(photos: Path, tmp_path: Path) -> None:
    rules = [{"kind": "too_small", "threshold": 130}, {"kind": "dark", "threshold": 1.1}]
    with pytest.raises(WorkFailedError, match=r"got none of 21: too_small took 21 \(too_small 21\), such as .*/\w+/"):
        publish(photos, tmp_path / "w", quality={"rules": rules})
    assert not (tmp_path / "w/datasets").exists()


def test_unreadable_evaluation_images_and_many_alarms_are_told_in_few_lines():
    alarm = {"reason": "dark", "source": "web", "label": "x", "taken": 9, "of": 9}
    info = {"alarms": [alarm] * 9, "search": {"decontaminate": {"unreadable": {"val": 3}}}}
    lines = dataset_warnings(info)
    assert lines[5:] == [
        "and 4 more such: see the report",
        "3 images of the evaluation set val unreadable, and not protected",
    ]
    assert dataset_warnings({}) == []


def test_a_search_that_missed_its_recall_is_told():
    good = {"recall": 0.993, "asked": 0.99, "reached": True}
    bad = {"recall": 0.953, "asked": 0.99, "reached": False}
    info = {"search": {"candidates": {"searched": {"layout": good, "vector": bad}}}}
    (line,) = dataset_warnings(info)
    assert "by vector found 95.3% of the true neighbours of a sample, not the 99.0%" in line
    assert line[0].upper() + line[1:] + "." in [one["text"] for one in look_first(info)["lines"]]


def test_a_version_tells_how_many_pictures_hang_together(photos: Path, tmp_path: Path, monkeypatch) -> None:
    small = Image.open(photos / "cats/2.jpg").resize((120, 90))
    (photos / "cats/small.jpg").write_bytes(encoded(small))
    info = publish(photos, tmp_path / "w").info
    assert hanging_together(info) == []
    monkeypatch.setattr(alarms_of, "JOINED", 1)
    assert hanging_together(info)[0].startswith("2 pictures among 16 images hang together as copies of copies")


@pytest.mark.parametrize(
    ("pictures", "compared", "warns"),
    [(1001, 2000, True), (1000, 2000, False), (1001, 100_100, False), (20_000, 1_000_000, True), (0, 0, False)],
)
def test_copies_of_copies_that_join_more_than_a_thousand_pictures_and_a_hundredth_are_told(pictures, compared, warns):
    info = {"search": {"dedup": {"compared": compared, "largest_component": 10**6, "most_pictures": pictures}}}
    lines = dataset_warnings(info)
    assert lines == hanging_together(info)
    assert [f"{line[0].upper()}{line[1:]}." for line in lines] == [one["text"] for one in look_first(info)["lines"]]
    assert [line.startswith(f"{pictures:,} pictures among {compared:,} images hang together") for line in lines] == (
        [True] * warns
    )
