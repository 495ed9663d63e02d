"""Images in tars: plain ones, WebDataset shards, and tars of tars as ImageNet-22K's. Nothing is unpacked."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Literal, NamedTuple

from curation.sources.files import SourceFile, find_files, is_local, mapped, open_location, uri_of
from curation.sources.folder import tell_skipped
from curation.sources.listing import IndexRow, Listed, refused
from curation.sources.sidecars import How, Labels
from curation.sources.tar_headers import DamagedTarError, Member, members
from shared.errors import SourceError
from shared.images.image_files import ending, may_be_image

log = logging.getLogger(__name__)

COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst")
MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
FETCH = 1 << 14
"""Bytes that one request for headers brings from an object store: a header, and the sidecars beside it."""


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
    skipped: Counter[str] = field(default_factory=Counter)
    damage: str | None = None


class TarSource(Listed):
    """Tars that hold images, or tars of images."""

    endings = (".tar", *COMPRESSED)
    gathers = True
    kind: Literal["tar"] = "tar"
    """A tar, a folder or glob of tars, or shards-{000..010}.tar; WebDataset's sidecars and tars in a tar are known."""
    labels: How = "auto"
    """sidecar = the .cls or .json beside an image; folder = its folder in the tar; archive = the innermost tar's name.
    auto = the first of these that there is; the tar's name only for a tar in a tar, or one named like n01440764."""
    label_key: str = ""
    """The key of a .json sidecar that holds the label; `label` or `cls` when empty."""

    def rows(self) -> Iterator[IndexRow]:
        """Yield the members of each tar, tars in the order of their paths, each before the tars that are in it."""
        fs, path = open_location(self.url, self.title)
        files = find_files(fs, path, self.endings, self.title)
        for file in files:
            if file.path.lower().endswith(COMPRESSED):
                raise _compressed(self.title, file.path)
        if not files:
            raise SourceError(f"Source {self.title!r} needs tars, but there are none at {self.url}.")
        skipped: Counter[str] = Counter()
        damage: list[str] = []
        images = 0
        for listing in self._listings(
            fs, [Span(f, uri_of(fs, f.path), uri_of(fs, f.path), 0, f.size or 0, False) for f in files]
        ):
            skipped += listing.skipped
            damage += [listing.damage] if listing.damage else []
            images += sum(row.reader == "range" for row in listing.rows)
            yield from listing.rows
        tell_skipped(self.title, skipped)
        if not images:
            raise SourceError(
                f"Source {self.title!r} needs images, but the {len(files)} tars at {self.url} hold none"
                f"{f' that can be listed: {damage[0]}' if damage else ''}."
            )

    def _listings(self, fs: Any, spans: Iterable[Span]) -> Iterator[Listing]:
        for listing in mapped(fs, lambda span: self._list(fs, span), spans):
            yield listing
            yield from self._listings(fs, listing.inner) if listing.inner else ()

    def _list(self, fs: Any, span: Span) -> Listing:
        listing, images, names = Listing(), list[tuple[str, Member]](), MemberNames()
        name = span.uri.rpartition("#")[2].rpartition("/")[2]
        labels = Labels(self.labels, self.label_key, name[: -len(".tar")], span.nested)
        try:
            with _open(fs, span.file.path) as file:
                self._check_magic(file, span)
                for member in members(file, span.start, span.end):
                    if labels.wants(member.name, member.size) and not member.problem:
                        file.seek(member.offset)
                        labels.take(member.name, file.read(member.size))
                    _sort(*names.add(member), span, images, listing)
        except (DamagedTarError, OSError) as error:
            listing.damage = f"{span.uri}: {error}"
            log.warning("%s: %s: %s. The %d images before that are indexed", self.title, span.uri, error, len(images))
        listing.rows += [_row(f"{span.uri}#{name}", member, labels.of(member.name), span) for name, member in images]
        if listing.damage:
            listing.rows.append(refused(span.uri, f"a damaged tar: {listing.damage}"[:300], span.file.stamp))
        return listing

    def _check_magic(self, file: IO[bytes], span: Span) -> None:
        file.seek(span.start)
        if file.read(6).startswith(MAGIC):
            if span.nested:
                raise DamagedTarError("compressed: decompress it")
            raise _compressed(self.title, span.uri)


class MemberNames:
    """The names in one tar, each given once, and the places of their bytes."""

    def __init__(self) -> None:
        self._places: dict[str, Member] = {}
        self._times: Counter[str] = Counter()

    def add(self, member: Member) -> tuple[str, Member]:
        """Return a name that is the member's alone, numbered when it came before, and where its bytes are."""
        name = member.name
        while name in self._places:
            self._times[member.name] += 1
            name = f"{member.name}~{self._times[member.name] + 1}"
        if member.link is not None:
            target = self._places.get(member.link)
            why = target.problem if target else f"a link to {member.link}, which is not in the tar"
            target = target or member
            member = Member(member.name, target.offset, target.size, problem=why)
        self._places[name] = member
        return name, member


def _sort(name: str, member: Member, span: Span, images: list[tuple[str, Member]], listing: Listing) -> None:
    """A member is an image, a tar to look into, or nothing that holds an image."""
    uri = f"{span.uri}#{name}"
    if may_be_image(member.name):
        images.append((name, member))
    elif member.name.lower().endswith(COMPRESSED):
        listing.rows.append(refused(uri, "a compressed tar: decompress it", span.file.stamp))
    elif member.name.lower().endswith(".tar") and not member.problem:
        end = min(member.offset + member.size, span.end)
        listing.inner.append(Span(span.file, span.path, uri, member.offset, end, True))
    else:
        listing.skipped[ending(member.name) or member.name.rpartition("/")[2]] += 1


def _row(uri: str, member: Member, label: str | None, span: Span) -> IndexRow:
    if member.problem:
        return refused(uri, member.problem, span.file.stamp)
    return IndexRow(uri, span.path, span.file.stamp, label, offset=member.offset, length=member.size)


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
