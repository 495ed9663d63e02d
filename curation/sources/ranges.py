"""Ranges of bytes: of files on this machine one by one, of an object store a few at a time."""

import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import fsspec

from curation.sources.opened import Opened
from curation.sources.outages import ChangedFileError, ReadResult, is_whole_file, tried
from shared.errors import UnreadableError
from shared.images.file_names import as_path

MAX_BYTES = 1 << 30
"""No image has a gigabyte: a longer file is refused unread."""
AT_ONCE, AT_ONCE_BYTES = 16, 1 << 26
"""Ranges of an object store that are asked for together, at most."""
UNKNOWN = 1 << 23
"""What a range of unknown length counts towards that."""


def read_here(rows: Iterable[dict[str, Any]], opened: Opened) -> Iterator[ReadResult]:
    """Yield ranges of files on this machine."""
    for row in rows:
        yield tried(row, partial(_range_here, row, opened), opened, row["path"])


def _range_here(row: dict[str, Any], opened: Opened) -> bytes:
    path, offset, length = row["path"], row["offset"], row["length"]
    if length is not None:
        _check_size(length)
    file = opened.get(path, lambda: open(as_path(path), "rb", buffering=0))  # noqa: SIM115  `opened` closes it
    if length is None or is_whole_file(row):
        size = os.fstat(file.fileno()).st_size - offset
        if length is not None and size != length:
            raise ChangedFileError(f"{path} was listed with {length:,} bytes, and has {size:,}")
        length = size
        _check_size(length)
    return _whole(os.pread(file.fileno(), length, offset), length)


def inflated(data: ReadResult) -> ReadResult:
    """Return what a zip's deflated bytes stand for."""
    if isinstance(data, UnreadableError):
        return data
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        whole = inflate.decompress(data, MAX_BYTES)
    except zlib.error as error:
        return UnreadableError(f"damaged in the zip: {error}")
    if not inflate.eof:
        return UnreadableError(f"damaged in the zip, or more than {MAX_BYTES:,} bytes")
    return whole


def _check_size(length: int) -> None:
    if length > MAX_BYTES:
        raise UnreadableError(f"{length:,} bytes, more than the limit of {MAX_BYTES:,}")


def _whole(data: bytes, length: int | None) -> bytes:
    if length is not None and len(data) < length:
        raise UnreadableError(f"cut short: {len(data):,} bytes of {length:,}")
    return data


def read_there(rows: Iterable[dict[str, Any]], opened: Opened) -> Iterator[ReadResult]:
    """Yield ranges of an object store: it answers late, but many at once."""
    batch: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        if batch and (len(batch) == AT_ONCE or size > AT_ONCE_BYTES):
            yield from _ranges_there(batch, opened)
            batch, size = [], 0
        batch.append(row)
        size += UNKNOWN if row["length"] is None else min(row["length"], MAX_BYTES)
    yield from _ranges_there(batch, opened)


def _ranges_there(batch: list[dict[str, Any]], opened: Opened) -> Iterator[ReadResult]:
    answers: dict[int, Any] = {}
    stores: dict[int, tuple[Any, list[int], list[str]]] = {}
    for i, row in enumerate(batch):
        if (row["length"] or 0) <= MAX_BYTES:
            fs, path = fsspec.core.url_to_fs(row["path"])
            _, numbers, paths = stores.setdefault(id(fs), (fs, [], []))
            numbers.append(i)
            paths.append(path)
    for fs, numbers, paths in stores.values():
        starts = [batch[i]["offset"] for i in numbers]
        ends = [start + _asked(batch[i]["length"]) for i, start in zip(numbers, starts, strict=True)]
        answers |= zip(numbers, fs.cat_ranges(paths, starts, ends, on_error="return"), strict=True)
    for i, row in enumerate(batch):
        yield tried(row, _attempts(row, answers.get(i)), opened)


def _attempts(row: dict[str, Any], answer: Any) -> Callable[[], bytes]:
    """Return what gives the answer that came with the batch, and from the second time on asks for this range alone."""
    first = [answer]

    def read() -> bytes:
        if first:
            return _answered(row, first.pop())
        fs, path = fsspec.core.url_to_fs(row["path"])
        end = row["offset"] + _asked(row["length"])
        return _answered(row, fs.cat_ranges([path], [row["offset"]], [end], on_error="return")[0])

    return read


def _asked(length: int | None) -> int:
    return MAX_BYTES + 1 if length is None else length


def _answered(row: dict[str, Any], answer: Any) -> bytes:
    if isinstance(answer, OSError | ValueError):
        raise answer
    if isinstance(answer, Exception):
        if row["path"].startswith("http"):  # a dead link is a bad row; a bucket that does not answer is an outage
            raise UnreadableError(f"{type(answer).__name__}: {answer}"[:300])
        raise ConnectionError(f"{type(answer).__name__}: {answer}"[:300]) from answer
    _check_size(row["length"] if answer is None else len(answer))
    return _whole(answer, row["length"])
