"""Files with a checksum for each page: a reader that maps one checks the pages that it is about to touch, each once.

Content, then a table of the CRC-32 of every page and of what the writer says of the content, then a trailer: the
lengths of these, and the SHA-256 of all but the content. A file that is cut short has no trailer.
"""

import hashlib
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from shared.errors import DamagedFileError
from shared.storage.store import Store

Ints = np.ndarray[Any, np.dtype[np.int64]]
PageSums = np.ndarray[Any, np.dtype[np.uint32]]

PAGE = 1 << 14
"""Bytes of a page: 0.02 % of a file are checksums, and a scattered row costs some pages, not a file."""
FETCHED = 1 << 24
"""Bytes that are fetched at once to check a whole file."""
MAGIC = b"dinopag1"
LENGTHS = struct.Struct("<QQ")
TRAILER = LENGTHS.size + len(MAGIC) + hashlib.sha256().digest_size


def seal_pages(draft: Path, about: bytes) -> None:
    """Append to a file that is written what makes it a paged one; `about` says where things are in the content."""
    with draft.open("r+b") as file:
        sums = [zlib.crc32(page) for page in iter(lambda: file.read(PAGE), b"")]
        length = file.tell()
        table = np.array(sums, np.uint32).tobytes() + about
        end = LENGTHS.pack(length, len(about)) + MAGIC
        file.write(table + end + hashlib.sha256(table + end).digest())


@dataclass(frozen=True)
class PagedFile:
    """An open paged file; where it is on another machine and was not fetched whole, what is read is fetched."""

    store: Store
    name: str
    length: int
    """Bytes of the content."""
    about: bytes
    sums: PageSums
    mapped: pa.Buffer | None
    """The whole file, or a copy of it, on a disk of this machine."""
    good: np.ndarray[Any, np.dtype[np.bool_]]
    """The pages that were held against their checksums."""

    def read(self, begin: int, end: int) -> pa.Buffer:
        """Return bytes that are all checked, where they had to be fetched, else unchecked ones of the map."""
        if self.mapped is not None:
            return self.mapped.slice(begin, end - begin)
        first, last = begin // PAGE, -(-end // PAGE)
        data = self.store.read_range(self.name, first * PAGE, min(last * PAGE, self.length) - first * PAGE)
        self._hold(memoryview(data), first, np.arange(first, last))
        return pa.py_buffer(data).slice(begin - first * PAGE, end - begin)

    def check(self, begins: Ints, ends: Ints) -> None:
        """Check the pages of some ranges that none has checked yet. Raises DamagedFileError."""
        firsts, lasts = begins[begins < ends] // PAGE, (ends[begins < ends] - 1) // PAGE
        longest = int((lasts - firsts).max(initial=-1)) + 1
        steps = [np.minimum(firsts + step, lasts) for step in range(longest)]
        self._check_mapped(np.unique(np.concatenate(steps)) if steps else firsts)

    def check_all(self) -> None:
        """Check every page. Raises DamagedFileError."""
        if self.mapped is not None:
            self._check_mapped(np.arange(len(self.sums)))
        else:
            for begin in range(0, self.length, FETCHED):
                self.read(begin, min(begin + FETCHED, self.length))

    def _check_mapped(self, pages: Ints) -> None:
        """Check pages of the map; what was fetched from another machine is checked already."""
        if self.mapped is not None:
            fresh = pages[~self.good[pages]]
            self._hold(memoryview(self.mapped)[: self.length], 0, fresh)
            self.good[fresh] = True

    def _hold(self, data: memoryview, first: int, pages: Ints) -> None:
        """Hold pages, of which `data` begins with the `first`, against their checksums."""
        for page in pages.tolist():
            begin = (page - first) * PAGE
            if zlib.crc32(data[begin : begin + PAGE]) != self.sums[page]:
                raise DamagedFileError(self.name, "has other bytes than were written")


def open_paged(store: Store, name: str, *, whole: bool = False) -> PagedFile:
    """Open a paged file, a `whole` one as a copy on this machine that lasts as long as it is open.

    Raises DamagedFileError, and FileNotFoundError where there is none.
    """
    mapped = None
    if whole or store.local:
        with store.fetched(name) as path:  # a map outlasts the name of its file
            mapped = pa.memory_map(str(path)).read_buffer()
    size = mapped.size if mapped is not None else int(store.fs.size(store.path(name)))

    def read(begin: int, end: int) -> bytes:
        if mapped is not None:
            return bytes(mapped.slice(begin, end - begin))
        return store.read_range(name, begin, end - begin)

    cut_short = DamagedFileError(name, "is cut short, or its end is damaged")
    if size < TRAILER:
        raise cut_short
    trailer = read(size - TRAILER, size)
    end, digest = trailer[: -hashlib.sha256().digest_size], trailer[-hashlib.sha256().digest_size :]
    length, said = LENGTHS.unpack(end[: LENGTHS.size])
    pages = -(-length // PAGE)
    if not end.endswith(MAGIC) or length + 4 * pages + said + TRAILER != size:
        raise cut_short
    table = read(length, size - TRAILER)
    if hashlib.sha256(table + end).digest() != digest:
        raise cut_short
    sums = np.frombuffer(table[: 4 * pages], np.uint32)
    return PagedFile(store, name, length, table[4 * pages :], sums, mapped, np.zeros(pages, np.bool_))
