"""The files that a source of archives or tables is made of: what a URL names, and what lies beside it in a folder."""

from typing import Any

from curation.sources.files import MISSING, SourceFile, named_files, stat_file
from curation.sources.listing import Listed
from curation.sources.notes import Notes
from curation.sources.walk import find
from shared.errors import SourceError


def find_files(fs: Any, path: str, source: Listed, notes: Notes) -> list[SourceFile]:
    """Return the files that a file, a folder, a glob or a brace pattern names, in the order of their paths.

    What lies in a folder and is none of the source's files is noted. Raises SourceError when one that is named is
    not there.
    """
    files: dict[str, SourceFile] = {}
    for one in named_files(fs, path):
        if fs.isdir(one):
            files |= {
                file.path: file for file in find(fs, one, source.follow_links) if _is_wanted(file, one, source, notes)
            }
        else:
            files[one] = stat_file(fs, one)
    missing = [file for file in files.values() if file.stamp == MISSING]
    if missing:
        raise SourceError(
            f"Source {source.title!r} needs {missing[0].path}, but cannot have it"
            f"{f', nor {len(missing) - 1} others' if missing[1:] else ''}: {missing[0].problem}. Check the URL."
        )
    return [files[path] for path in sorted(files)]


def _is_wanted(file: SourceFile, root: str, source: Listed, notes: Notes) -> bool:
    """A folder that cannot be listed is wanted: nobody knows what is in it."""
    if file.problem and file.path.endswith("/"):
        return True
    name = file.path[len(root.rstrip("/")) + 1 :]
    hidden = "hidden" if name.rpartition("/")[2].startswith(".") else None
    foreign = None if name.lower().endswith(source.endings) else "name"
    why = file.skip or hidden or foreign or source.leaves_out(name)
    if why:
        notes.pass_over(name, why)
    return not why
