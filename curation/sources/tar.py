"""Images in tars: plain ones, WebDataset shards, and tars of tars as ImageNet-22K's. Nothing is unpacked."""

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any, Literal, NamedTuple

from pydantic import model_validator

from curation.sources.archives import find_files
from curation.sources.files import SourceFile, is_local, mapped, open_location, read_file, uri_of
from curation.sources.label_rule import former_labels
from curation.sources.listing import IndexRow, Listed, refused
from curation.sources.member_names import MemberNames, UniqueMember
from curation.sources.notes import Notes
from curation.sources.sidecars import Sidecars
from curation.sources.tar_headers import DamagedTarError, members
from curation.sources.tree import Entry, pick
from shared.errors import SourceError

log = logging.getLogger(__name__)

COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst")
MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
FETCH = 1 << 14
"""Bytes that one request for headers brings from an object store: a header, and the sidecars beside it."""
SYNSET = re.compile(r"n\d{8}")
"""A tar that is called like a WordNet synset holds images of it: n01440764.tar of ImageNet."""


class Span(NamedTuple):
    """A tar: a file, or a stretch of one that is a member of another tar."""

    file: SourceFile
    path: str
    uri: str
    start: int
    end: int
    nested: bool


@dataclass
class Listing:
    """What one tar holds."""

    rows: list[IndexRow] = field(default_factory=list)
    inner: list[Span] = field(default_factory=list)
    notes: Notes = field(default_factory=Notes)
    damage: str | None = None


class TarSource(Listed):
    """Tars that hold images, or tars of images."""

    endings = (".tar", *COMPRESSED)
    gathers = True
    label_words = (*Listed.label_words, "archive")

    kind: Literal["tar"] = "tar"
    """A tar, a folder or glob of tars, or shards-{000..010}.tar; WebDataset's sidecars and tars in a tar are known.
    label: auto is the .cls or .json beside an image, else its folder in the tar, else the innermost tar's name where
    that lies in a tar or is named like n01440764."""

    @model_validator(mode="before")
    @classmethod
    def _former_keys(cls, given: Any) -> Any:
        return former_labels(given, {"labels": str, "label_key": "sidecar:{}".format})

    def rows(self, notes: Notes) -> Iterator[IndexRow]:
        """Yield the members of each tar, tars in the order of their paths, each before the tars that are in it."""
        fs, path = open_location(self.url, self.title)
        files = find_files(fs, path, self, notes)
        for file in files:
            if file.path.lower().endswith(COMPRESSED):
                raise _compressed(self.title, file.path)
        if not files:
            raise SourceError(f"Source {self.title!r} needs tars, but there are none at {self.url}{notes.aside}.")
        damage: list[str] = []
        images = 0
        spans = [Span(f, uri_of(fs, f.path), uri_of(fs, f.path), 0, f.size or 0, False) for f in files]
        for listing in self._listings(fs, spans):
            notes.merge(listing.notes)
            damage += [listing.damage] if listing.damage else []
            images += sum(row.reader == "range" for row in listing.rows)
            yield from listing.rows
        if not images:
            raise SourceError(
                f"Source {self.title!r} needs images, but the {len(files)} tars at {self.url} hold none"
                f"{f' that can be listed: {damage[0]}' if damage else ''}"
                f"{notes.aside}."
            )

    def _listings(self, fs: Any, spans: Iterable[Span]) -> Iterator[Listing]:
        for listing in mapped(fs, lambda span: self._list(fs, span), spans):
            yield listing
            yield from self._listings(fs, listing.inner) if listing.inner else ()

    def _list(self, fs: Any, span: Span) -> Listing:
        listing, names, sidecars = Listing(), MemberNames(), Sidecars(self.label_rule, self.metadata)
        entries: list[Entry] = []
        try:
            with _open(fs, span.file.path) as file:
                self._check_magic(file, span)
                for member in members(file, span.start, span.end):
                    if sidecars.wants(member.name, member.size) and not member.problem:
                        file.seek(member.offset)
                        sidecars.take(member.name, file.read(member.size))
                    self._sort(fs, names.add(member), span, entries, listing)
        except (DamagedTarError, OSError) as error:
            listing.damage = f"{span.uri}: {error}"
            log.warning("%s: %s: %s. %d members before that are indexed", self.title, span.uri, error, len(entries))
        name = span.uri.rpartition("#")[2].rpartition("/")[2][: -len(".tar")]
        is_class = span.nested or SYNSET.fullmatch(name) or self.label_rule.how == "archive"
        listing.rows += pick(entries, self, listing.notes, sidecars, name if is_class else None)
        if listing.damage:
            listing.rows.append(refused(span.uri, f"a damaged tar: {listing.damage}"[:300], span.file.stamp))
        return listing

    def _check_magic(self, file: IO[bytes], span: Span) -> None:
        file.seek(span.start)
        if file.read(6).startswith(MAGIC):
            if span.nested:
                raise DamagedTarError("compressed: decompress it")
            raise _compressed(self.title, span.uri)

    def _sort(self, fs: Any, named: UniqueMember, span: Span, entries: list[Entry], listing: Listing) -> None:
        """A member is a tar to look into, or an entry that may be an image."""
        name, member, uri = named.name, named.member, f"{span.uri}#{named.name}"
        written = member.name.lower()
        if written.endswith(COMPRESSED):
            listing.rows.append(refused(uri, "a compressed tar: decompress it", span.file.stamp))
        elif written.endswith(".tar") and not member.problem:
            end = min(member.offset + member.size, span.end)
            listing.inner.append(Span(span.file, span.path, uri, member.offset, end, True))
        else:
            read = partial(read_file, fs, span.file.path, member.offset, member.size)
            row = (
                refused(uri, member.problem, span.file.stamp)
                if member.problem
                else IndexRow(uri, span.path, span.file.stamp, offset=member.offset, length=member.size)
            )
            entries.append(Entry(name, row, member.size, read, named.time, member.name))


def _compressed(who: str, path: str) -> SourceError:
    return SourceError(
        f"Source {who!r} needs plain tars, got the compressed {path}, in which no image has a place of its own. "
        "Decompress it first (gunzip, zstd -d, …): images do not shrink by it."
    )


def _open(fs: Any, path: str) -> IO[bytes]:
    if is_local(fs):
        return open(path, "rb")
    opened: IO[bytes] = fs.open(path, "rb", block_size=FETCH, cache_type="readahead")
    return opened
