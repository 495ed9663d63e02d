import contextlib
import gzip
import io
import json
import logging
import os
import shutil
import tarfile

import numpy as np
import pyarrow as pa
import pytest
from conftest import encoded, picture
from pydantic import ValidationError

from curation.sources import FolderSource, TarSource, source_at
from curation.sources.reading import UnreadableError, read_bytes
from shared.errors import SourceError

JPEGS = [encoded(picture(i)) for i in range(12)]


def packed(path, files, **options):
    """A tar of (name, bytes)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **options) as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def rows(source, part_images=10_000):
    return pa.concat_tables(source.tables(part_images))


def named(source):
    """The bytes, or the reason why there are none, by what follows the first # of the uri."""
    table = rows(source)
    uris = table["uri"].to_pylist()
    assert len(set(uris)) == len(uris)
    data = [str(one) if isinstance(one, UnreadableError) else one for one in read_bytes(table)]
    return dict(zip((uri.partition("#")[2] for uri in uris), data, strict=True))


def labelled(source):
    table = rows(source).select(["uri", "label"]).to_pylist()
    return {row["uri"].partition("#")[2]: row["label"] for row in table}


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_image_comes_back_by_its_name_whatever_wrote_the_tar(tmp_path, format):
    long = "" if format == tarfile.USTAR_FORMAT else "a/very/" + "long-" * 60
    names = ["cats/1.jpg", "./dogs/2.jpg", f"{long}3.jpg", "no-ending", "bird.5.jpeg"]
    files = list(zip(names, JPEGS, strict=False))
    path = packed(tmp_path / "some.tar", [*files, ("notes.txt", b"no image"), ("._1.jpg", b"of macOS")], format=format)
    assert named(source_at(str(path))) == {name.removeprefix("./"): data for name, data in files}
    assert rows(TarSource(url=str(path)))["uri"][0].as_py() == f"{path}#cats/1.jpg"


def test_names_that_are_not_utf8_are_read_and_never_those_of_others(tmp_path):
    files = [("caf\udce9.jpg", JPEGS[0]), ("caf%E9.jpg", JPEGS[1]), ("caf\\xe9.jpg", JPEGS[2])]
    path = packed(tmp_path / "odd.tar", files, errors="surrogateescape")
    assert named(TarSource(url=str(path))) == dict(
        zip(["caf%E9.jpg", "caf%E9.jpg~2", "caf\\xe9.jpg"], JPEGS[:3], strict=True)
    )


def test_listing_reads_headers_and_no_image(tmp_path, monkeypatch):
    big = [(f"{i}.jpg", bytes(1 << 20)) for i in range(8)]
    path = packed(tmp_path / "big.tar", big)
    read = []

    class Counted(io.FileIO):
        def readinto(self, buffer):
            got = super().readinto(buffer)
            read.append(got)
            return got

    monkeypatch.setattr("curation.sources.tar._open", lambda fs, path: io.BufferedReader(Counted(path)))
    assert rows(TarSource(url=str(path))).num_rows == 8
    assert 0 < sum(read) < 300_000


def test_labels_come_from_sidecars_then_folders(tmp_path):
    files = [
        ("a.jpg", JPEGS[0]),
        ("a.cls", b"7\n"),
        ("b.json", json.dumps({"label": "bird"}).encode()),
        ("b.jpg", JPEGS[1]),
        ("c.x.jpg", JPEGS[2]),
        ("c.json", json.dumps({"cls": 3, "class": "cow"}).encode()),
        ("d.jpg", JPEGS[3]),
        ("d.json", b"{broken"),
        ("fish/e.jpg", JPEGS[4]),
        ("f.jpg", JPEGS[5]),
        ("f.json", b'["no object"]'),
    ]
    url = str(packed(tmp_path / "shard-000.tar", files))
    told = {"a.jpg": "7", "b.jpg": "bird", "c.x.jpg": "3", "d.jpg": None, "fish/e.jpg": "fish", "f.jpg": None}
    nothing = dict.fromkeys(told)
    assert labelled(TarSource(url=url)) == told
    assert labelled(TarSource(url=url, labels="sidecar")) == told | {"fish/e.jpg": None}
    assert labelled(TarSource(url=url, labels="folder")) == nothing | {"fish/e.jpg": "fish"}
    assert labelled(TarSource(url=url, labels="archive")) == dict.fromkeys(told, "shard-000")
    assert labelled(TarSource(url=url, labels="none")) == nothing
    by_key = labelled(TarSource(url=url, labels="sidecar", label_key="class"))
    assert by_key == nothing | {"a.jpg": "7", "c.x.jpg": "cow"}


def test_shards_are_named_by_folder_glob_or_braces(tmp_path):
    for i in range(12):
        packed(tmp_path / f"set/shard-{i:03d}.tar", [("image.jpg", JPEGS[i])])
    packed(tmp_path / "set/other.tar", [("image.jpg", b"")])

    def stems(url):
        return [uri.partition(".tar#")[0].rpartition("/")[2] for uri in rows(source_at(url))["uri"].to_pylist()]

    assert len(stems(f"{tmp_path}/set")) == 13
    assert stems(f"{tmp_path}/set/shard-*.tar") == [f"shard-{i:03d}" for i in range(12)]
    assert stems(f"{tmp_path}/set/shard-{{009..011}}.tar") == ["shard-009", "shard-010", "shard-011"]
    assert stems(f"{tmp_path}/set/{{shard-00{{0..1}},other}}.tar") == ["other", "shard-000", "shard-001"]
    with pytest.raises(SourceError, match=r"needs .*shard-012\.tar, but cannot have it, nor 1 others"):
        rows(TarSource(url=f"{tmp_path}/set/shard-{{010..013}}.tar"))


@pytest.fixture
def imagenet(tmp_path):
    """ImageNet-22K's layout: a tar of tars, one for each synset."""
    inner = {"n01440764": [0, 1, 2], "n02119789": [3, 4]}
    for synset, numbers in inner.items():
        packed(tmp_path / f"synsets/{synset}.tar", [(f"{synset}_{i}.JPEG", JPEGS[i]) for i in numbers])
    outer = packed(tmp_path / "whole.tar", [(f"{s}.tar", (tmp_path / f"synsets/{s}.tar").read_bytes()) for s in inner])
    return outer, {f"{s}.tar#{s}_{i}.JPEG": JPEGS[i] for s, numbers in inner.items() for i in numbers}


def test_a_tar_of_tars_is_read_where_it_lies_with_its_synsets(imagenet):
    outer, images = imagenet
    source = source_at(str(outer))
    assert named(source) == images
    assert labelled(source) == {name: name[:9] for name in images}
    table = rows(source)
    assert set(table["path"].to_pylist()) == {str(outer)}
    first = table.slice(0, 1).to_pylist()[0]
    assert outer.read_bytes()[first["offset"] :][: first["length"]] == JPEGS[0]


def test_a_folder_of_synset_tars_has_the_same_labels(imagenet):
    outer, images = imagenet
    shards = source_at(str(outer.parent / "synsets"))
    assert sorted(filter(None, labelled(shards).values())) == sorted(name[:9] for name in images)


def test_appended_tars_leave_earlier_parts_alone(tmp_path):
    for i in range(12):
        packed(tmp_path / f"shards/{i:02d}.tar", [(f"{k}.jpg", b"x") for k in range(60)])
    before = [part["uri"].to_pylist() for part in TarSource(url=f"{tmp_path}/shards").tables(20)]
    packed(tmp_path / "shards/12.tar", [(f"{k}.jpg", b"x") for k in range(60)])
    after = [part["uri"].to_pylist() for part in TarSource(url=f"{tmp_path}/shards").tables(20)]
    assert len(before) > 10
    assert after[: len(before) - 1] == before[:-1]


def test_a_changed_tar_has_another_stamp(tmp_path):
    path = packed(tmp_path / "a.tar", [("1.jpg", JPEGS[0])])
    first = rows(TarSource(url=str(path)))["stamp"][0]
    packed(path, [("1.jpg", JPEGS[1]), ("2.jpg", JPEGS[2])])
    assert rows(TarSource(url=str(path)))["stamp"][0] != first


def test_links_are_read_where_they_lead_and_sparse_members_are_refused(tmp_path):
    path = tmp_path / "links.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind, target in (
            ("real.jpg", tarfile.REGTYPE, ""),
            ("hard.jpg", tarfile.LNKTYPE, "./real.jpg"),
            ("lost.jpg", tarfile.LNKTYPE, "elsewhere.jpg"),
            ("soft.jpg", tarfile.SYMTYPE, "real.jpg"),
            ("folder.jpg", tarfile.DIRTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            info.size = len(JPEGS[0]) if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(JPEGS[0]))
        sparse = tarfile.TarInfo("sparse.jpg")
        sparse.size, sparse.pax_headers = 600, {"GNU.sparse.major": "1", "GNU.sparse.name": "real-sparse.jpg"}
        tar.addfile(sparse, io.BytesIO(bytes(600)))
        last = tarfile.TarInfo("last.jpg")
        last.size = len(JPEGS[1])
        tar.addfile(last, io.BytesIO(JPEGS[1]))
    got = named(TarSource(url=str(path)))
    assert got.pop("real.jpg") == got.pop("hard.jpg") == JPEGS[0]
    assert got.pop("last.jpg") == JPEGS[1]
    assert "not in the tar" in got.pop("lost.jpg")
    assert "symbolic link to real.jpg" in got.pop("soft.jpg")
    assert "sparse" in got.pop("real-sparse.jpg")
    assert got == {}


def test_gnu_sparse_members_are_stepped_over(tmp_path):
    if not shutil.which("tar"):
        pytest.skip("needs GNU tar")
    with (tmp_path / "holes.jpg").open("wb") as file:
        for i in range(30):  # more pieces than fit into one header
            file.seek(i << 16)
            file.write(b"x" * 4096)
    (tmp_path / "whole.jpg").write_bytes(JPEGS[0])
    if os.system(f"cd {tmp_path} && tar -S --format=gnu -cf holes.tar holes.jpg whole.jpg 2>/dev/null"):
        pytest.skip("needs GNU tar")
    got = named(TarSource(url=f"{tmp_path}/holes.tar"))
    assert got.pop("whole.jpg") == JPEGS[0]
    holes = got.pop("holes.jpg")  # a filesystem without holes gives tar nothing to leave out
    assert holes == (tmp_path / "holes.jpg").read_bytes() or "sparse" in holes
    assert got == {}


def test_a_name_that_comes_again_is_another_image(tmp_path):
    files = [("a.jpg", JPEGS[0]), ("a.jpg", JPEGS[1]), ("a.jpg~2", JPEGS[2]), ("a.jpg", JPEGS[3])]
    got = named(TarSource(url=str(packed(tmp_path / "twice.tar", files))))
    assert list(got.values()) == [data for _, data in files]


def test_joined_tars_are_read_to_the_end(tmp_path):
    both = [packed(tmp_path / f"{i}.tar", [(f"{i}.jpg", JPEGS[i])]).read_bytes() for i in range(2)]
    (tmp_path / "joined.tar").write_bytes(b"".join(both) + b"a signature" * 100)
    assert named(TarSource(url=f"{tmp_path}/joined.tar")) == {"0.jpg": JPEGS[0], "1.jpg": JPEGS[1]}


def test_a_cut_tar_gives_what_it_has_and_a_row_for_the_rest(tmp_path, caplog):
    path = packed(tmp_path / "cut.tar", [(f"{i}.jpg", JPEGS[i]) for i in range(3)])
    whole = path.read_bytes()
    path.write_bytes(whole[: 2 * 512 + len(JPEGS[0]) + 512 + 700])
    with caplog.at_level(logging.WARNING):
        got = named(TarSource(url=str(path)))
    assert got.pop("0.jpg") == JPEGS[0]
    assert "cut short" in got.pop("1.jpg")
    assert "a damaged tar" in got.pop("")
    assert got == {}
    assert "cut short inside 1.jpg" in caplog.text


def broken(kind, path):
    data = bytearray(path.read_bytes())
    second = 512 + -(-len(JPEGS[0]) // 512) * 512
    if kind == "no header":
        data[second : second + 100] = b"?" * 100
    if kind == "no size":
        data[second:second] = pax_header(b"14 size=many!\n")
    if kind == "no size of 1.jpg: -700 bytes":
        data[second:second] = pax_header(b"13 size=-700\n")
    if kind == "no pax header":
        data[second:second] = pax_header(b"1 a=b\n")
    if kind == "a header of 9,000,000 bytes":
        data[second:second] = pax_header(b"", 9_000_000)
    if kind == "cut short at byte":
        data[second:] = pax_header(b"x" * 700)[:900]
    if kind == "cut short inside a header":
        del data[second + 100 :]
    path.write_bytes(data)


def pax_header(data, size=None):
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, len(data) if size is None else size
    return info.tobuf() + data + bytes(-len(data) % 512)


@pytest.mark.parametrize(
    "kind",
    [
        "no header",
        "no size",
        "no size of 1.jpg: -700 bytes",
        "no pax header",
        "a header of 9,000,000 bytes",
        "cut short at byte",
        "cut short inside a header",
    ],
)
def test_a_damaged_header_costs_what_is_behind_it(tmp_path, kind):
    path = packed(tmp_path / "damaged.tar", [("0.jpg", JPEGS[0]), ("1.jpg", JPEGS[1])])
    broken(kind, path)
    got = named(TarSource(url=str(path)))
    assert got.pop("0.jpg") == JPEGS[0]
    assert kind in got.pop("")
    assert got == {}


def test_no_change_of_a_header_is_an_exception_or_goes_on_for_ever(tmp_path):
    path = packed(
        tmp_path / "fuzzed.tar", [(f"{i}/" + "x" * 120, b"data") for i in range(4)], format=tarfile.GNU_FORMAT
    )
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(400):
        data = bytearray(whole)
        block = 512 * int(rng.integers(len(whole) // 512))
        for _ in range(int(rng.integers(1, 4))):
            data[block + int(rng.integers(512))] = int(rng.integers(256))
        header = data[block : block + 512]
        header[148:156] = b" " * 8
        data[block + 148 : block + 156] = b"%06o\0 " % sum(header)  # a checksum that agrees
        path.write_bytes(data)
        with contextlib.suppress(SourceError):  # when nothing is left of it
            assert len(named(TarSource(url=str(path)))) <= 10


def test_tars_inside_a_tar_that_are_damaged_or_compressed_are_rows(tmp_path):
    inner = packed(tmp_path / "inner.tar", [("0.jpg", JPEGS[0]), ("1.jpg", JPEGS[1])]).read_bytes()
    files = [
        ("bad.tar", b"no tar at all" * 100),
        ("good.tar", inner),
        ("good.tar", inner),
        ("zipped.tar", gzip.compress(inner)),
        ("more.tar.gz", gzip.compress(inner)),
        ("2.jpg", JPEGS[2]),
    ]
    got = named(TarSource(url=str(packed(tmp_path / "outer.tar", files))))
    assert got.pop("2.jpg") == JPEGS[2]
    assert [got.pop(f"good.tar{again}#{i}.jpg") for again in ("", "~2") for i in range(2)] == JPEGS[:2] * 2
    assert "no header" in got.pop("bad.tar")
    assert "decompress" in got.pop("zipped.tar")
    assert "decompress" in got.pop("more.tar.gz")
    assert got == {}


def test_compressed_empty_and_broken_tars_are_refused_with_what_to_do(tmp_path):
    plain = packed(tmp_path / "plain.tar", [("0.jpg", JPEGS[0])])
    (tmp_path / "train_0.tar.gz").write_bytes(gzip.compress(plain.read_bytes()))
    (tmp_path / "hidden.tar").write_bytes(gzip.compress(plain.read_bytes()))
    for name in ("train_0.tar.gz", "hidden.tar"):
        with pytest.raises(SourceError, match=rf"got the compressed .*{name}.*Decompress it first"):
            rows(source_at(str(tmp_path / name)))
    (tmp_path / "none").mkdir()
    with pytest.raises(SourceError, match="needs tars, but there are none"):
        rows(TarSource(url=f"{tmp_path}/none"))
    packed(tmp_path / "texts.tar", [("a.txt", b"text")])
    with pytest.raises(SourceError, match=r"the 1 tars at .* hold none \(1 others were passed over: 1 × .txt\)\."):
        rows(TarSource(url=f"{tmp_path}/texts.tar"))
    (tmp_path / "page.tar").write_bytes(b"<html>" * 200)
    with pytest.raises(SourceError, match=r"hold none that can be listed: .*no header of a tar at byte 0"):
        rows(TarSource(url=f"{tmp_path}/page.tar"))
    with pytest.raises(ValidationError, match="label must be one of auto; none; folder"):
        TarSource(url="x.tar", labels="guess")


def test_a_folder_with_an_image_is_a_folder_even_beside_a_tar(tmp_path):
    packed(tmp_path / "mixed/a.tar", [("0.jpg", JPEGS[0])])
    assert isinstance(source_at(f"{tmp_path}/mixed"), TarSource)
    (tmp_path / "mixed/photo.jpg").write_bytes(JPEGS[1])
    mixed = source_at(f"{tmp_path}/mixed")
    assert isinstance(mixed, FolderSource)
    assert rows(mixed)["uri"].to_pylist() == [f"{tmp_path}/mixed/photo.jpg"]


def test_a_tar_is_opened_once_for_all_its_images(tmp_path, monkeypatch):
    table = rows(TarSource(url=str(packed(tmp_path / "a.tar", [(f"{i}.jpg", JPEGS[i]) for i in range(12)]))))
    opened, real = [], open

    def counted(*args, **how):
        opened.append(args)
        return real(*args, **how)

    monkeypatch.setattr("curation.sources.ranges.open", counted, raising=False)
    assert list(read_bytes(table)) == JPEGS
    assert len(opened) == 1
