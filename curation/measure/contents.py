"""Between the reading of a file and its decode: its digest, and whether equal bytes were measured before."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from shared.errors import UnreadableError
from shared.images.ids import digest
from shared.stage_runner.aliases import Aliases
from shared.stage_runner.memo import NEAR_BYTES, key
from shared.stage_runner.memo_runs import KEY_BYTES

WAITING = 1 << 24
"""Bytes of files that wait to be looked up together, at most, and one file more."""


class FileRead(NamedTuple):
    """A file that was read."""

    data: bytes | UnreadableError
    """Its bytes or why there are none."""
    rotation: int | None = None
    """By how much its source turns it."""
    key: bytes = b""
    """The key under which its measurement was looked up in vain."""


class Standing(NamedTuple):
    """Where a measurement is remembered."""

    content: bytes | None = None
    """The key of its bytes, of which way up they are measured, and of what measures; None where that was not asked."""
    key: bytes | None = None
    """The key under which it is remembered, or is to be."""
    is_known: bool = False
    """Whether it is."""


class Identified(NamedTuple):
    """A file by its content."""

    file: FileRead
    image_id: bytes | None
    """None where it could not be read."""
    standing: Standing = Standing()


@dataclass(frozen=True)
class Contents:
    """The contents that were measured before."""

    aliases: Aliases
    """Lead from a content to where its measurement stands."""
    identity: str
    """What beside the content a measurement depends on."""

    def looked_up(self, files: Sequence[Identified]) -> Iterator[Identified]:
        """Yield the files, in order, with their contents; one whose key was looked up in vain is not known."""
        contents = [self._key(each) for each in files]
        resolved = self.aliases.resolved(pa.array(contents, pa.binary(KEY_BYTES)))
        for each, content, stands in zip(files, contents, resolved.to_pylist(), strict=True):
            if each.image_id is None:
                yield each
            elif stands in (content, each.file.key):
                beside = each.file.key[:NEAR_BYTES] + content[NEAR_BYTES:]
                yield each._replace(standing=Standing(content, beside))
            else:
                yield each._replace(standing=Standing(content, stands, is_known=True))

    def _key(self, each: Identified) -> bytes:
        return key(each.image_id or b"", repr(each.file.rotation).encode(), self.identity.encode())


def identified(files: Iterable[FileRead], contents: Contents | None) -> Iterator[Identified]:
    """Yield the files by their contents, in order; where none is known yet, each as soon as it is read."""
    each = (Identified(file, None if isinstance(file.data, UnreadableError) else digest(file.data)) for file in files)
    if contents is None:
        yield from each
        return
    for some in _together(each, 0 if contents.aliases.none else WAITING):
        yield from contents.looked_up(some)


def _together(files: Iterable[Identified], waiting: int) -> Iterator[list[Identified]]:
    """Cut files so that of all but the last of some no more bytes wait."""
    some, left = list[Identified](), waiting
    for each in files:
        some.append(each)
        left -= len(each.file.data) if isinstance(each.file.data, bytes) else 0
        if left <= 0:
            yield some
            some, left = [], waiting
    if some:
        yield some
