"""A workspace: a folder or an object store behind one small class. Nothing else commits a file.

A file appears under its name only when it is whole: locally by rename, on an object store by a single put.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

from shared.errors import WorkspaceError
from shared.storage.credentials import located
from shared.storage.files import named, settle
from shared.storage.refusals import answering, roomy

UNFINISHED = ".tmp-"
"""How the names of drafts begin: no listing shows them."""
SCRATCH = "rounds-"
"""How the names of folders begin that are deleted with the run that made them: after a power cut nobody reads them."""


@dataclass(frozen=True)
class Store:
    """A root folder or URL; every path in the methods is relative to it."""

    url: str

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        fs, root = located(self.url)
        return fs, root.rstrip("/")

    @property
    def fs(self) -> Any:
        """The fsspec filesystem behind the workspace."""
        return self._opened[0]

    @property
    def local(self) -> bool:
        """Whether the store is a folder of this machine."""
        return "file" in (self.fs.protocol if isinstance(self.fs.protocol, tuple) else (self.fs.protocol,))

    def _answering(self) -> AbstractContextManager[None]:
        return answering(self.url, self.local)

    def path(self, *names: str) -> str:
        """Return the full path of a name, as the filesystem knows it."""
        return "/".join((self._opened[1], *names))

    def place(self, *names: str) -> str:
        """Return where a name is for whoever wants to open it: a path, or a URL."""
        return self.path(*names) if self.local else "/".join((self.url.rstrip("/"), *names))

    def sub(self, *names: str) -> "Store":
        """Return the store of a folder inside this one."""
        return Store("/".join((self.url.rstrip("/"), *names)))

    def exists(self, name: str) -> bool:
        """Tell whether a file or folder is there."""
        with self._answering():
            return bool(self.fs.exists(self.path(name)))

    def names(self, folder: str) -> list[str]:
        """Return the sorted names of what lies directly in a folder; none where there is no folder."""
        self.fs.invalidate_cache()
        try:
            with self._answering():
                entries = self.fs.ls(self.path(folder), detail=False)
        except FileNotFoundError:
            return []
        names = (str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in entries)
        return sorted(name for name in names if not name.startswith(UNFINISHED))

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the size in bytes of every file directly in a folder, by name; none where there is no folder."""
        self.fs.invalidate_cache()
        try:
            entries = self.fs.ls(self.path(folder), detail=True)
        except FileNotFoundError:
            return {}
        return {str(one["name"]).rsplit("/", 1)[-1]: int(one["size"]) for one in entries if one["type"] == "file"}

    def newest(self, folder: str, ending: str) -> str | None:
        """Return the name of the file of this ending that was written last in a folder; None where there is none."""
        names = [f"{folder}/{name}" for name in self.names(folder) if name.endswith(ending)]
        return max(names, key=lambda name: self.fs.modified(self.path(name)), default=None)

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        with self._answering():
            return cast(bytes, self.fs.cat_file(self.path(name)))

    def read_range(self, name: str, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset` on: a pread."""
        if self.local:
            with open(self.path(name), "rb", buffering=0) as file:
                return os.pread(file.fileno(), length, offset)
        return cast(bytes, self.fs.cat_file(self.path(name), start=offset, end=offset + length))

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """Give a local path with the bytes of a file: its own, or that of a copy."""
        if self.local:
            yield Path(self.path(name))
            return
        with tempfile.TemporaryDirectory(prefix=UNFINISHED) as folder:
            self.fs.get_file(self.path(name), f"{folder}/copy")
            yield Path(folder, "copy")

    def open(self, name: str) -> BinaryIO:
        """Open a file for seekable reading."""
        return cast(BinaryIO, self.fs.open(self.path(name), "rb"))

    def open_arrow(self, name: str) -> Any:
        """Open a file for Arrow's readers, as a file of Arrow's own where the store is a folder of this machine.

        A thread of Arrow that lets go of a Python file while the interpreter ends aborts the process.
        """
        import pyarrow as pa

        return pa.OSFile(self.path(name)) if self.local else self.open(name)

    @contextmanager
    def commit(self, name: str, needed: int | None = None) -> Iterator[Path]:
        """Give a local path to write to; when the block ends well, the file appears whole under its name.

        Takes its size where that is known. Raises WorkspaceError when the workspace cannot be written, WorkFailedError
        when the disk is full.
        """
        with self._draft(name) as draft, roomy(draft, self.path(name), needed):
            yield draft
            if self.local:
                settle(draft, lasts=f"/{SCRATCH}" not in name)
                os.replace(draft, self.path(name))
            else:
                with self._answering():
                    self.fs.put_file(str(draft), self.path(name))

    @contextmanager
    def _draft(self, name: str) -> Iterator[Path]:
        """Give a local path beside the name; what is still there at the end is deleted."""
        target = self.path(name)
        try:
            if self.local:
                os.makedirs(os.path.dirname(target), exist_ok=True)
            descriptor, draft = tempfile.mkstemp(prefix=UNFINISHED, dir=os.path.dirname(target) if self.local else None)
        except OSError as error:
            raise WorkspaceError(
                f"The workspace {self.url} must be writable, but {error.strerror or error}: {target}. "
                "Choose another folder with --workspace, or mend its permissions."
            ) from error
        os.close(descriptor)
        try:
            yield Path(draft)
        finally:
            Path(draft).unlink(missing_ok=True)

    def write(self, name: str, data: bytes | str) -> None:
        """Commit a small file."""
        raw = data.encode() if isinstance(data, str) else data
        with self.commit(name, len(raw)) as draft:
            draft.write_bytes(raw)

    def create(self, name: str, data: bytes | str) -> bool:
        """Commit a small file where none has its name; return whether that was so. Of several at once, one succeeds.

        On disk a hard link that is never made twice, in an object store a put that asks for no object of this name.
        """
        raw = data.encode() if isinstance(data, str) else data
        try:
            if self.local:
                with self._draft(name) as draft, roomy(draft, self.path(name), len(raw)):
                    draft.write_bytes(raw)
                    settle(draft)
                    named(draft, self.path(name))
            else:
                with self._answering():
                    self.fs.pipe_file(self.path(name), raw, mode="create")
        except FileExistsError:
            return False
        return True

    def delete(self, name: str) -> None:
        """Delete a file, or a folder with all that it holds; what is not there is deleted already."""
        with suppress(FileNotFoundError):
            self.fs.rm(self.path(name), recursive=True)

    def hard_link(self, source: str, target: str) -> bool:
        """Give a committed file a second name that costs no bytes; return False where the store has no such links."""
        if not self.local:
            return False
        os.makedirs(os.path.dirname(self.path(target)), exist_ok=True)
        try:
            os.link(self.path(source), self.path(target))
        except FileExistsError:
            return True
        except FileNotFoundError:
            raise
        except OSError:  # a filesystem without hard links
            return False
        return True

    def link(self, source: str, target: str) -> None:
        """Make a committed file appear under a second name: a hard link, or a copy inside the object store."""
        if not self.local:
            self.fs.copy(self.path(source), self.path(target))
            return
        os.makedirs(os.path.dirname(self.path(target)), exist_ok=True)
        try:
            os.link(self.path(source), self.path(target))
        except FileExistsError:
            return
        except OSError:  # a filesystem without hard links
            with self.commit(target) as draft:
                shutil.copyfile(self.path(source), draft)
