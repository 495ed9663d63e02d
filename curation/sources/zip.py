"""Images in zips, read where they lie: stored members as ranges of the file, deflated ones inflated on the way."""

import logging
import zipfile
from collections.abc import Iterator
from functools import partial
from typing import IO, Any, Literal

from pydantic import field_validator

from curation.sources.archives import find_files
from curation.sources.files import SourceFile, mapped, open_location, uri_of
from curation.sources.listing import IndexRow, Listed, refused
from curation.sources.member_names import MemberNames
from curation.sources.notes import Notes
from curation.sources.sidecars import Sidecars
from curation.sources.tar_headers import Member
from curation.sources.tree import Entry, pick
from shared.errors import SourceError

log = logging.getLogger(__name__)

HEADER = 30
"""Bytes of a member's own header before its name, the lengths of the name and of what follows at the end."""
READERS = {zipfile.ZIP_STORED: "range", zipfile.ZIP_DEFLATED: "deflate"}
ENCRYPTED = 0x1


class ZipSource(Listed):
    """Zips that hold images."""

    endings = (".zip",)
    gathers = True
    chain = "zip://"
    label_words = (*Listed.label_words, "archive")

    kind: Literal["zip"] = "zip"
    """A zip, or a folder or glob of zips; also zip://FOLDER::FILE.zip for a folder inside."""

    @field_validator("url")
    @classmethod
    def _chain_names_a_zip(cls, url: str) -> str:
        if url.startswith(cls.chain) and "::" not in url:
            raise ValueError(f"a URL that begins with zip:// needs the zip behind ::, got {url}; zip://::FILE.zip")
        return url

    @property
    def title(self) -> str:
        """The source's name."""
        return self.name or self._parts[1].rstrip("/").rpartition("/")[2] or self.url

    @property
    def _parts(self) -> tuple[str, str]:
        """The folder inside, and where the zips are."""
        if not self.url.startswith(self.chain):
            return "", self.url
        inside, _, outside = self.url.removeprefix(self.chain).partition("::")
        return inside.strip("/*"), outside

    def rows(self, notes: Notes) -> Iterator[IndexRow]:
        """Yield the members of each zip, zips in the order of their paths."""
        inside, outside = self._parts
        fs, path = open_location(outside, self.title)
        files = find_files(fs, path, self, notes)
        if not files:
            raise SourceError(f"Source {self.title!r} needs zips, but there are none at {outside}{notes.aside}.")
        images = 0
        for rows, own in mapped(fs, lambda file: self._list(fs, file, inside), files):
            notes.merge(own)
            images += sum(row.reader != "refused" for row in rows)
            yield from rows
        if not images:
            raise SourceError(
                f"Source {self.title!r} needs images, but the {len(files)} zips at {self.url} hold none{notes.aside}."
            )

    def _list(self, fs: Any, file: SourceFile, inside: str) -> tuple[list[IndexRow], Notes]:
        notes, names, sidecars = Notes(), MemberNames(), Sidecars(self.label_rule, self.metadata)
        uri, entries = uri_of(fs, file.path), list[Entry]()
        try:
            with fs.open(file.path, "rb") as opened, zipfile.ZipFile(opened) as archive:
                for info in archive.infolist():
                    if info.is_dir() or not _is_inside(info.filename, inside):
                        continue
                    if sidecars.wants(info.filename, info.file_size) and not info.flag_bits & ENCRYPTED:
                        sidecars.take(info.filename, archive.read(info))
                    named = names.add(Member(info.filename, 0, info.file_size))
                    row = _row(f"{uri}#{named.name}", uri, file.stamp, info, opened)
                    read = partial(_read, fs, file.path, info)
                    name, path = (text.removeprefix(f"{inside}/") for text in (named.name, info.filename))
                    entries.append(Entry(name, row, info.file_size, read, named.time, path))
        except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
            log.warning("%s: %s: %s", self.title, uri, error)
            return [refused(uri, f"a damaged zip: {error}"[:300], file.stamp)], notes
        stem = uri.rpartition("/")[2][: -len(".zip")]
        return pick(entries, self, notes, sidecars, stem if self.label_rule.how == "archive" else None), notes


def _is_inside(name: str, folder: str) -> bool:
    return not folder or name == folder or name.startswith(f"{folder}/")


def _row(uri: str, path: str, stamp: str, info: zipfile.ZipInfo, file: IO[bytes]) -> IndexRow:
    if info.flag_bits & ENCRYPTED:
        return refused(uri, "an encrypted member: unpack the zip with its password", stamp)
    if info.compress_type not in READERS:
        return refused(uri, f"compressed by method {info.compress_type}: pack it anew, or unpack it", stamp)
    file.seek(info.header_offset)
    header = file.read(HEADER)
    offset = info.header_offset + HEADER + int.from_bytes(header[26:28], "little")
    offset += int.from_bytes(header[28:30], "little")
    return IndexRow(uri, path, stamp, reader=READERS[info.compress_type], offset=offset, length=info.compress_size)


def _read(fs: Any, path: str, info: zipfile.ZipInfo) -> bytes:
    with fs.open(path, "rb") as opened, zipfile.ZipFile(opened) as archive:
        return archive.read(info)
