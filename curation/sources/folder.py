"""A folder tree of image files, on a disk or an object store; the label is the parent folder's name."""

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from curation.sources.listing import Listed, cuts, listing
from shared.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

NO_IMAGES = frozenset(
    [
        ".csv",
        ".tsv",
        ".txt",
        ".json",
        ".jsonl",
        ".md",
        ".html",
        ".htm",
        ".xml",
        ".yaml",
        ".yml",
        ".toml",
        ".ini",
        ".log",
        ".py",
        ".ipynb",
        ".sh",
        ".db",
        ".sqlite",
        ".parquet",
        ".arrow",
        ".feather",
        ".npy",
        ".npz",
        ".pt",
        ".pth",
        ".safetensors",
        ".pkl",
        ".tar",
        ".tgz",
        ".zip",
        ".gz",
        ".bz2",
        ".xz",
        ".7z",
        ".rar",
        ".mp4",
        ".mov",
        ".avi",
        ".mkv",
        ".webm",
        ".mp3",
        ".wav",
        ".flac",
        ".xmp",
        ".aae",
    ]
)
"""Endings of files that are not one image each. Everything else is indexed: if it is broken, that is a row."""


class FolderSource(Listed):
    """A folder tree of image files."""

    kind: Literal["folder"] = "folder"
    """A folder tree with one file for each image."""
    labels: bool = True
    """Take the parent folder's name as the label; off for folders that mean nothing."""

    def tables(self, part_images: int) -> Iterator["pa.Table"]:
        """Yield the files, oldest first."""
        import fsspec

        fs, root = fsspec.core.url_to_fs(self.url)
        if not fs.isdir(root):
            raise SourceError(
                f"Source {self.title!r} needs a folder, but {self.url} "
                f"{'is a file' if fs.exists(root) else 'does not exist'}. Check the path."
            )
        files = self._files(fs, root)
        files.sort(key=lambda file: (file["stamp"], file["uri"]))
        for start, end in cuts([file["uri"] for file in files], part_images):
            yield self._table(files[start:end], root)

    def _files(self, fs: Any, root: str) -> list[dict[str, Any]]:
        skipped: Counter[str] = Counter()
        files = []
        for path, entry in fs.find(root, detail=True).items():
            name = PurePosixPath(path)
            if name.name.startswith(".") or name.suffix.lower() in NO_IMAGES:
                skipped[name.suffix.lower() or name.name] += 1
                continue
            uri = str(path) if "file" in fs.protocol else fs.unstrip_protocol(path)
            files.append({"uri": uri, "path": uri, "length": entry["size"], "stamp": _stamp(entry)})
        if skipped:
            told = ", ".join(f"{count} × {ending}" for ending, count in skipped.most_common(5))
            log.info(
                "%s: %d files are not images by their ending and were passed over (%s)",
                self.title,
                sum(skipped.values()),
                told,
            )
        if not files:
            raise SourceError(
                f"Source {self.title!r} needs images, but {self.url} holds none"
                f"{f' ({sum(skipped.values())} other files were passed over)' if skipped else ''}. "
                "Give the folder that holds the pictures; subfolders are searched too."
            )
        return files

    def _table(self, files: list[dict[str, Any]], root: str) -> "pa.Table":
        columns = {name: [file[name] for file in files] for name in ("uri", "path", "length", "stamp")}
        columns["source"] = [self.title] * len(files)
        columns["reader"] = ["range"] * len(files)
        columns["offset"] = [0] * len(files)
        if self.labels:
            columns["label"] = [_label(file["uri"], root) for file in files]
        return listing(columns, len(files))


def _label(uri: str, root: str) -> str | None:
    """The parent folder's name; a file directly in the root has none."""
    parent = PurePosixPath(uri).parent
    return None if str(parent).endswith(root.rstrip("/")) else parent.name


def _stamp(entry: dict[str, Any]) -> str:
    """Something that changes when the file does, and sorts by time."""
    if "mtime" in entry:
        return f"{entry['mtime']:020.6f}"
    when = entry.get("LastModified") or entry.get("last_modified") or entry.get("updated") or ""
    return f"{getattr(when, 'isoformat', lambda: when)()} {entry.get('ETag', '')}".strip()
