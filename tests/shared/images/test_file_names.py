import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.images.file_names import as_path, as_text, is_remote, printable

paths = st.binary(min_size=1, max_size=12).map(lambda data: "/" + os.fsdecode(data.replace(b"\0", b"x")))


@given(paths)
def test_every_path_comes_back_from_its_text(path: str) -> None:
    text = as_text(path)
    text.encode()
    assert as_path(text) == path
    assert not is_remote(text) or "://" in path


@given(st.lists(paths, unique=True))
def test_two_paths_are_never_one_text(paths: list[str]) -> None:
    assert len({as_text(path) for path in paths}) == len(paths)


def test_a_path_of_good_text_is_itself() -> None:
    assert as_text("/a/100%25 é#.jpg") == "/a/100%25 é#.jpg"
    assert as_text("/a b/mu\udcf1oz#.jpg") == "file:///a%20b/mu%F1oz%23.jpg"
    assert printable("é/mu\udcf1oz%") == "é/mu%F1oz%"
    assert is_remote("s3://b/x")
    assert not is_remote("file:///x")


def test_explain_finds_an_image_whose_name_is_not_utf8(tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    from conftest import encoded, picture
    from looked_at import publish

    from flows.inspect.find_image import find, local_path

    (tmp_path / "photos").mkdir()
    odd = f"{tmp_path}/photos/mu\udcf1oz.jpg"
    for i, name in enumerate((odd, f"{tmp_path}/photos/mu\\xf1oz.jpg")):
        Path(name).write_bytes(encoded(picture(i, (160, 120))))
    dataset = publish(tmp_path / "photos", tmp_path / "w")
    for what in (odd, as_text(odd)):
        path = local_path(what)
        assert path is not None
        (row,) = find(dataset, what, path.read_bytes()).rows
        assert row["uri"] == as_text(odd)
        assert (row["width"], row["state"]) == (160, "kept")
    (other,) = find(dataset, f"{tmp_path}/photos/mu\\xf1oz.jpg", None).rows
    assert other["image_id"] != row["image_id"]
