"""An image stays where an earlier version put it as long as its bytes and all that is told beside them are the same."""

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation.publish.append.section import Placement, Section, place, survey
from shared.catalog import HIDDEN, PACKED
from shared.storage import Store
from shared.storage.checked import write_table

FACTS = {"source": "photos", "label": None, "width": 9, "height": 8, "format": "jpeg", "rotation": None}


def image(name: str, **facts: Any) -> dict[str, Any]:
    return {"image_id": name * 32, "uri": f"/{name}.jpg", **FACTS, **facts}


def member(name: str, shard: str, offset: int, **facts: Any) -> dict[str, Any]:
    return {**image(name, **facts), "shard": shard, "offset": offset, "length": 100}


def section(folder: Path, images: list[dict[str, Any]], *tables: list[dict[str, Any]], **more: Any) -> Section:
    """Images to publish, and the tables of an earlier version's members."""
    packed = PACKED.wide({key for row in images for key in row})
    write_table(Store(str(folder)), "packed.parquet", pa.Table.from_pylist(images, packed))
    sums = {}
    for number, rows in enumerate(tables):
        name = f"members-{number}.parquet"
        pq.write_table(pa.Table.from_pylist(rows, HIDDEN.wide({key for row in rows for key in row})), folder / name)
        sums[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    return Section(str(folder), 0, "packed.parquet", "", ("", ""), tuple(sums), sums=sums, **more)


def places(found: Placement) -> list[str | None]:
    """The shard of each image, None for those that are new."""
    shards = found.members["shard"].to_pylist()
    return [None if place < 0 else shards[place] for place in found.places.tolist()]


def test_what_is_the_same_but_for_its_place_stays_and_a_null_is_equal_to_a_null(tmp_path: Path) -> None:
    images = [image("a"), image("b", label="cat"), image("c", rotation=90), image("d"), image("e", label="")]
    members = [member("a", "one", 0), member("b", "one", 1, label="dog"), member("c", "two", 2), member("e", "two", 3)]
    found = place(section(tmp_path, images, members))
    assert places(found) == ["one", None, None, None, None]
    assert found.new["uri"].to_pylist() == ["/b.jpg", "/c.jpg", "/d.jpg", "/e.jpg"]
    assert found.hidden["offset"].to_pylist() == [1, 2, 3]
    assert survey(section(tmp_path, images, members)).live == {"one": (1, 100)}


def test_metadata_is_the_same_in_any_order_of_its_keys(tmp_path: Path) -> None:
    images = [image("a", metadata='{"x": 1, "y": 2}'), image("b", metadata='{"x": 1}'), image("c")]
    members = [member("a", "one", 0, metadata='{"y": 2, "x": 1}'), member("b", "one", 1, metadata='{"x": 2}')]
    assert places(place(section(tmp_path, images, members, [member("c", "two", 0)]))) == ["one", None, "two"]


def test_exif_is_no_difference_where_members_have_it_from_their_bytes(tmp_path: Path) -> None:
    images, members = [image("a"), image("b")], [member("a", "one", 0, metadata='{"exif": {}}'), member("b", "one", 1)]
    assert places(place(section(tmp_path, images, members, exif=True))) == ["one", "one"]
    assert places(place(section(tmp_path, images, members))) == [None, "one"]


def test_of_two_equal_members_the_last_counts_and_those_of_lost_shards_do_not(tmp_path: Path) -> None:
    tables = [[member("a", "hidden", 0), member("b", "lost", 0)], [member("a", "listed", 0)]]
    found = place(section(tmp_path, [image("a"), image("b")], *tables, unusable=frozenset({"lost"})))
    assert places(found) == ["listed", None]
    assert found.hidden["shard"].to_pylist() == ["hidden"]
