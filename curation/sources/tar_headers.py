"""The members of a tar from its headers alone: every image's bytes are stepped over, none are read.

Reads ustar, GNU and pax tars. Where `tarfile` would stop without a word at the first thing it does not
understand, this tells how far it came.
"""

import tarfile
from collections.abc import Iterator
from typing import IO, NamedTuple

BLOCK = tarfile.BLOCKSIZE
MAX_RECORD = 1 << 20
"""No long name has a megabyte: a longer one is damage."""
LONG = {tarfile.GNUTYPE_LONGNAME: "path", tarfile.GNUTYPE_LONGLINK: "linkpath"}
PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
FILES = (*tarfile.REGULAR_TYPES, tarfile.LNKTYPE, tarfile.SYMTYPE)
NO_DATA = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)


class DamagedTarError(Exception):
    """A tar cannot be listed any further; the text says where and why."""


class Member(NamedTuple):
    """A file in a tar: `size` bytes at `offset` of the file that holds the tar."""

    name: str
    offset: int
    size: int
    link: str | None = None
    """The member whose bytes these are, when it is a hard link."""
    problem: str | None = None
    """Why its bytes do not lie there in one piece."""


def members(file: IO[bytes], start: int, end: int) -> Iterator[Member]:
    """Yield the files of the tar that lies between two places of an open file. Raises DamagedTarError."""
    position, ended = start, False
    common: dict[str, str] = {}
    own: dict[str, str] = {}
    while position + BLOCK <= end:
        block = _read(file, position, BLOCK)
        position += BLOCK
        if block.count(0) == BLOCK:  # the end mark; tars that were joined with `cat` go on behind it
            ended = True
            continue
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.TarError as error:
            if ended:
                return
            raise DamagedTarError(f"no header of a tar at byte {position - BLOCK:,}: {error}") from error
        if info.type in LONG or info.type in PAX or info.type == tarfile.XGLTYPE:
            data = _record(file, position, info)
            if info.type in LONG:
                own[LONG[info.type]] = data.rstrip(b"\0").decode("utf-8", "surrogateescape")
            else:
                (common if info.type == tarfile.XGLTYPE else own).update(_pax(data, position))
            position += _padded(info.size)
            continue
        if info.type == tarfile.GNUTYPE_SPARSE:
            position += _sparse_map(file, position, block)
        member = _member(info, {**common, **own}, position)
        own = {}
        if info.type in FILES or info.type == tarfile.GNUTYPE_SPARSE:
            yield member
        position += 0 if info.type in NO_DATA else _padded(member.size)
        if member.problem is None and info.type not in NO_DATA and member.offset + member.size > end:
            raise DamagedTarError(
                f"cut short inside {member.name}, {member.offset + member.size - end:,} bytes missing"
            )
    if position < end and not ended and _read(file, position, end - position).count(0) < end - position:
        raise DamagedTarError(f"cut short inside a header at byte {position:,}")


def _member(info: tarfile.TarInfo, records: dict[str, str], offset: int) -> Member:
    name = records.get("GNU.sparse.name") or records.get("path") or info.name
    name = name.removeprefix("./")
    if info.type == tarfile.LNKTYPE:
        return Member(name, offset, 0, link=(records.get("linkpath") or info.linkname).removeprefix("./"))
    if info.type == tarfile.SYMTYPE:
        return Member(name, offset, 0, problem=f"a symbolic link to {records.get('linkpath') or info.linkname}")
    try:
        size = int(records.get("size", info.size))
        if size < 0:  # going back would never end
            raise ValueError(f"{size} bytes")
    except ValueError as error:
        raise DamagedTarError(f"no size of {name}: {error}") from error
    if info.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse.") for key in records):
        return Member(name, offset, size, problem="a sparse member: its bytes are in pieces. Pack it without --sparse")
    return Member(name, offset, size)


def _read(file: IO[bytes], position: int, size: int) -> bytes:
    file.seek(position)
    data = file.read(size)
    if len(data) < size:
        raise DamagedTarError(f"cut short at byte {position + len(data):,}")
    return data


def _record(file: IO[bytes], position: int, info: tarfile.TarInfo) -> bytes:
    if not 0 <= info.size <= MAX_RECORD:
        raise DamagedTarError(f"a header of {info.size:,} bytes at byte {position:,}")
    return _read(file, position, info.size)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _sparse_map(file: IO[bytes], position: int, block: bytes) -> int:
    """Return the bytes of the blocks that go on with the map of a GNU sparse member."""
    more, length = block[482], 0
    while more:
        more = _read(file, position + length, BLOCK)[504]
        length += BLOCK
    return length


def _pax(data: bytes, position: int) -> dict[str, str]:
    """Read the records of a pax header: `LENGTH KEY=VALUE` and a line end."""
    records, at = {}, 0
    try:
        while at < len(data) and data[at]:
            length = int(data[at : data.index(b" ", at)])
            if length < 5:
                raise ValueError(f"a record of {length} bytes")
            _, _, record = data[at : at + length].rstrip(b"\n").partition(b" ")
            key, _, value = record.partition(b"=")
            records[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
            at += length
    except ValueError as error:
        raise DamagedTarError(f"no pax header at byte {position:,}: {error}") from error
    return records
