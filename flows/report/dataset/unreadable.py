"""Files that could not be read, by error: every error, and the files of each as far as a page should go."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows.report.dataset.pictures import name_of

LISTED = 2_000
"""Files that are named on a page, over all errors; the table `dropped` has them all."""


def unreadable_files(unreadable: pa.Table) -> list[dict[str, Any]]:
    """Return {text, count, files, more} of each error, the most frequent first; `files` are (uri, name)."""
    rows = pa.table({"error": pc.fill_null(unreadable["error"], "no details"), "uri": unreadable["uri"]})
    counted = rows.group_by("error").aggregate([("uri", "count")])
    errors = counted.sort_by([("uri_count", "descending"), ("error", "ascending")]).to_pylist()
    rows, room, listed = rows.sort_by("uri"), LISTED, []
    for place, error in enumerate(errors):
        fair = max(1, room // (len(errors) - place))  # a frequent error leaves room for the rare ones
        uris = rows.filter(pc.equal(rows["error"], error["error"])).slice(0, fair)["uri"].to_pylist()
        room -= len(uris)
        files = [(uri, name_of(uri)) for uri in uris]
        count = error["uri_count"]
        listed.append({"text": error["error"], "count": count, "files": files, "more": count - len(files)})
    return listed
