"""Sources that mean harm: bombs that grow when they are opened, names that want to be more than names."""

import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.campaign import inputs
from tests.benchmarks.campaign.command import dinoflow
from tests.benchmarks.campaign.results import published
from tests.benchmarks.campaign.tally import Tally

LARGEST = 3_000_000
"""kB that the largest process of the command may take."""
NAMES = (
    "line\nbreak.jpg",
    "escape\x1b[31mred\x07.jpg",
    "<img src=x onerror=alert(1)>.jpg",
    "quote'\"`$(touch hit).jpg",
    "percent%2e%2e%2f.jpg",
    "hash#query?.jpg",
    "two..dots.jpg",
    "space .jpg",
    "\u202egpj.exe.jpg",
    "lat\udce9.jpg",
    "x" * 240 + ".jpg",
    "--workspace=else.jpg",
)


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, extra: bytes = b"") -> bytes:
    """Return a PNG of one colour that claims this size; its pixels take a thousandth of it."""
    rows = zlib.compress(b"\0" * min((width * 3 + 1) * height, 300 << 20), 9)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bombs() -> Iterator[tuple[str, bytes]]:
    """Yield files that are small, and large when opened."""
    yield "wide.png", png(40_000, 40_000)
    yield "text.png", png(64, 64, chunk(b"zTXt", b"a\0\0" + zlib.compress(b"a" * (200 << 20), 9)))
    yield "profile.png", png(64, 64, chunk(b"iCCP", b"a\0\0" + zlib.compress(b"\0" * (200 << 20), 9)))
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("large.jpg", b"\0" * (300 << 20))
        archive.writestr("../../outside.jpg", inputs.jpeg(501))
        archive.writestr("good.jpg", inputs.jpeg(502))
    yield "zip/bomb.zip", sink.getvalue()
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for name, link in (("../outside.jpg", ""), ("/tmp/absolute.jpg", ""), ("link.jpg", "/etc/passwd")):
            member = tarfile.TarInfo(name)
            data = b"" if link else inputs.jpeg(503)
            member.size, member.linkname = len(data), link
            member.type = tarfile.SYMTYPE if link else tarfile.REGTYPE
            tar.addfile(member, io.BytesIO(data))
    yield "tar/names.tar", sink.getvalue()


def hostile(home: Path, tally: Tally) -> None:
    """Curate folders with bombs and with names: what is good of them is kept as it is, the rest has a reason."""
    row = tally.row("bombs and hostile names")
    good = {name: inputs.jpeg(600 + number) for number, name in enumerate(NAMES)}
    plain = {f"good{number}.jpg": inputs.jpeg(700 + number) for number in range(20)}
    folder = home / "names"
    folder.mkdir(parents=True)
    for name, data in (good | plain).items():
        (folder / name).write_bytes(data)
    _curated(row, home, folder, {*good.values(), *plain.values()})
    for name, data in bombs():
        folder = home / f"bomb-{name.replace('/', '-')}"
        for one, content in {**plain, name: data}.items():
            (folder / one).parent.mkdir(parents=True, exist_ok=True)
            (folder / one).write_bytes(content)
        if "/" in name:  # an archive is a source of its own
            folder /= name.partition("/")[0]
        _curated(row, home, folder, set() if "/" in name else set(plain.values()))
    if any(Path(path).exists() for path in ("/tmp/absolute.jpg", home / "outside.jpg", home / "hit")):
        row.lose("a file was written outside of the workspace")


def _curated(row: object, home: Path, folder: Path, kept: set[bytes]) -> None:
    from tests.benchmarks.campaign.tally import Row

    assert isinstance(row, Row)
    workspace = home / f"w-{folder.name}-{folder.parent.name}"
    recipe = inputs.recipe(home / f"{workspace.name}.json", str(folder))
    measured = home / "memory"
    before = ("/usr/bin/time", "-f", "%M", "-o", str(measured)) if os.path.exists("/usr/bin/time") else ()
    ending = dinoflow("pack", recipe, "--workspace", workspace, before=before)
    row.fired += 1
    row.tried += 1
    if not ending.clear:
        row.fail(folder.name, ending)
    elif kept and (ending.code or not kept <= set(published(str(workspace))["members"].values())):
        row.lose(f"{folder.name}: not every good picture was kept: {ending.last_line}")
    if before and (peak := int(measured.read_text().split()[-1])) > LARGEST:
        row.fail(f"{folder.name} took {peak:,} kB")
