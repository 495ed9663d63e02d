"""Files that could not be read, by error: every kind of error, and the files of each as far as a page should go."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows.report.dataset.pictures import name_of

LISTED, KINDS = 2_000, 200
"""Files that are named on a page, over all errors, and kinds of errors; the table `dropped` has them all."""
OWN = r"'[^']*'|\d[\d,.]*"
"""What differs between errors of one kind: a file's name, a number of bytes."""


def unreadable_files(unreadable: pa.Table) -> list[dict[str, Any]]:
    """Return {text, count, files, more} of each kind of error, the most frequent first; `files` are (uri, name)."""
    errors = pc.fill_null(unreadable["error"], "no details")
    rows = pa.table({"kind": pc.replace_substring_regex(errors, OWN, "…"), "error": errors, "uri": unreadable["uri"]})
    counted = rows.group_by("kind").aggregate([("uri", "count"), ("error", "count_distinct"), ("error", "min")])
    kinds = counted.sort_by([("uri_count", "descending"), ("kind", "ascending")]).slice(0, KINDS).to_pylist()
    rows, room, listed = rows.sort_by("uri"), LISTED, []
    for place, kind in enumerate(kinds):
        fair = max(1, room // (len(kinds) - place))  # a frequent error leaves room for the rare ones
        uris = rows.filter(pc.equal(rows["kind"], kind["kind"])).slice(0, fair)["uri"].to_pylist()
        room -= len(uris)
        text, count = kind["error_min"] if kind["error_count_distinct"] == 1 else kind["kind"], kind["uri_count"]
        files = [(uri, name_of(uri)) for uri in uris]
        listed.append({"text": text, "count": count, "files": files, "more": count - len(files)})
    return listed
