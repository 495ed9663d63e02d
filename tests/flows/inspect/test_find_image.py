"""`explain` finds what a person means, however it is spelled; counts a folder; and shows names that bite."""

import io
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from conftest import encoded, picture
from looked_at import Looked, looked, publish

from flows.commands.console import Console
from flows.inspect.image_facts import image_facts
from flows.inspect.image_text import print_image
from flows.inspect.notes import notes
from flows.report.kit.reason_text import Checks
from shared.errors import UserError


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Looked:
    return looked(tmp_path_factory.mktemp("finding"))


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Names that people really have: short, accented, with blanks, per cents and control characters."""
    root = tmp_path_factory.mktemp("odd")
    names = ("a b.jpg", "1.jpg", "é.jpg", "c%20d.jpg", "line\nbreak.jpg", "red\x1b[31m.jpg", "deep/er/2.jpg")
    for i, name in enumerate(names):
        path = root / "photos" / "p" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(300 + i)))
    (root / "photos/p/.DS_Store").write_bytes(b"Bud1")
    (root / "photos/p/notes.txt").write_text("notes")
    publish(root / "photos", root / "w")
    return root / "photos/p", root / "w"


def facts(workspace: Looked, what: str | Path) -> dict[str, Any]:
    return image_facts(str(workspace.workspace), str(what), None)


def words(image: dict[str, Any]) -> str:
    sink = io.StringIO()
    print_image(Console(sink), image, Checks("geometric"))
    return sink.getvalue()


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("1.jpg", "1.jpg"),
        ("é.jpg", "é.jpg"),
        (unicodedata.normalize("NFD", "é.jpg"), "é.jpg"),
        ("./p/1.jpg", "1.jpg"),
        ("file://FOLDER/a%20b.jpg", "a b.jpg"),
        ("file://FOLDER/a b.jpg", "a b.jpg"),
        ("FOLDER/c%20d.jpg", "c%20d.jpg"),
        ("2.jpg", "deep/er/2.jpg"),
    ],
)
def test_an_image_is_found_by_a_short_ending_and_by_a_url(odd: tuple[Path, Path], what: str, name: str) -> None:
    folder, workspace = odd
    image = image_facts(str(workspace), what.replace("FOLDER", str(folder)), None)
    assert image["seen"][0]["uri"] == str(folder / name)
    assert image["seen"][0]["asked"]


@pytest.mark.parametrize("what", ["7.jpg", ".jpg", "ats/07.jpg", "/", "."])
def test_a_piece_of_a_name_means_nothing(workspace: Looked, what: str) -> None:
    with pytest.raises(UserError, match="No image"):
        facts(workspace, what)


def test_control_characters_in_a_name_are_shown_and_do_nothing(odd: tuple[Path, Path]) -> None:
    folder, workspace = odd
    for name, escaped in (("line\nbreak.jpg", "line\\nbreak.jpg"), ("red\x1b[31m.jpg", "red\\x1b[31m.jpg")):
        said = words(image_facts(str(workspace), str(folder / name), None))
        assert f"/{escaped} · source photos" in said
        assert "\x1b" not in said
        assert "\nbreak" not in said


def test_a_name_that_is_no_utf_8_is_no_traceback(odd: tuple[Path, Path]) -> None:
    with pytest.raises(UserError, match=r"No image 'mu.*xf1oz.jpg'|No image 'mu.*udcf1oz.jpg'"):
        image_facts(str(odd[1]), "mu\udcf1oz.jpg", None)


def test_a_folder_gives_its_counts_and_what_of_it_is_no_image(workspace: Looked, odd: tuple[Path, Path]) -> None:
    dogs = facts(workspace, workspace.photos / "dogs")
    uris = workspace.versions[1].table("manifest", ["uri"])["uri"].to_pylist()
    kept = sum("/dogs/" in uri for uri in uris)
    assert (dogs["indexed"], dogs["kept"], sum(dogs["reasons"].values())) == (4, kept, 4 - kept)
    assert dogs["reasons"]["unreadable"] == 1
    assert dogs["never_indexed"] == {}
    for what in ("cats", "cats/", f"file://{workspace.photos}/cats"):
        assert facts(workspace, what)["indexed"] == 22
    folder, other = odd
    image = image_facts(str(other), str(folder), None)
    assert (image["indexed"], image["never_indexed"]) == (7, {".DS_Store": 1, ".txt": 1})
    said = words(image)
    assert "7 images indexed, 7 kept, 0 dropped" in said
    assert "2 files there were never indexed: 1 .DS_Store, 1 .txt" in said


def test_a_file_that_is_no_image_by_its_name_would_not_be_indexed(odd: tuple[Path, Path], tmp_path: Path) -> None:
    folder, workspace = odd
    for name in (".DS_Store", "notes.txt"):
        image = image_facts(str(workspace), str(folder / name), None)
        assert (image["indexed"], image["never_indexed"]) == (False, "name")
        assert "would not be: its name says that it is no image" in words(image)
    late, elsewhere = folder / "late.jpg", tmp_path / "elsewhere.jpg"
    late.write_bytes(encoded(picture(399)))
    elsewhere.write_bytes(encoded(picture(398)))
    images = [image_facts(str(workspace), str(path), None) for path in (late, elsewhere)]
    late.unlink()
    assert [image["never_indexed"] for image in images] == ["inside", "outside"]
    assert "came, or got this name, after the listing" in words(images[0])


def test_of_several_rows_of_one_image_the_one_that_was_asked_for_comes_first_and_is_marked(workspace: Looked) -> None:
    for name in ("cats/03.jpg", "dogs/copy.jpg"):
        image = facts(workspace, workspace.photos / name)
        assert image["seen"][0]["uri"] == str(workspace.photos / name)
        assert [row["asked"] for row in image["seen"]] == [True, False]
        assert f"{name} · source photos  ← asked for" in words(image)
    by_id = facts(workspace, facts(workspace, workspace.photos / "cats/03.jpg")["image_id"])
    assert "asked for" not in words(by_id)


def test_labels_that_conflict_among_copies_are_a_note(workspace: Looked) -> None:
    (note,) = facts(workspace, workspace.photos / "cats/03.jpg")["notes"]
    assert note.startswith("labels conflict among copies of this picture: 'cats' (")
    assert facts(workspace, workspace.photos / "cats/07.jpg")["notes"] == []


NEIGHBOUR = {"uri": "/k.jpg", "bits": 0, "cosine": 0.9, "match": 0.0, "verdict": "other", "orientation": "upright"}
DROPPED = {"uri": "/d.jpg", "state": "dropped", "reason": "perceptual_duplicate", "kept_uri": "/k.jpg"}
KEPT = {"uri": "/d.jpg", "state": "kept"}
COPY = {"match": 1.1, "verdict": "copy"}


@pytest.mark.parametrize(
    ("row", "neighbour", "expected"),
    [
        (DROPPED, {}, "were found alike when they were compared; today"),
        (DROPPED, COPY, None),
        (DROPPED, {"match": 1.1, "verdict": "look-alike"}, "were found alike when they were compared; today"),
        (DROPPED | {"reason": "near_duplicate"}, {}, "were found alike when they were compared; today"),
        (KEPT, {}, "/k.jpg is a look-alike: 0 of 64 bits of the hash differ, but laid over each other the pixels"),
        (KEPT, {"bits": 7}, None),
        (KEPT, COPY | {"bits": 30}, "were not among each other's nearest candidates"),
        (KEPT, COPY | {"orientation": "mirrored"}, "/k.jpg matches mirrored (1.10) and is kept too"),
        (
            KEPT,
            {"match": 1.1, "verdict": "look-alike"},
            "/k.jpg is a look-alike: laid over each other, most of the pixels",
        ),
        (KEPT, {"match": 1.1, "verdict": "same scene"}, "curation.dedup.near.same_scene says whether both are kept"),
        (KEPT, {"match": None}, None),
    ],
)
def test_evidence_that_contradicts_itself_is_explained(
    row: dict[str, Any], neighbour: dict[str, Any], expected: str | None
) -> None:
    said = notes([row], [NEIGHBOUR | neighbour], {}, (6, 1.0))
    assert [str(expected) in note for note in said] == ([True] if expected else [])
    assert notes([row], [NEIGHBOUR | neighbour], {}, (None, None)) == []
