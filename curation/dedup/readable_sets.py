"""Whether evaluation sets can be protected at all: an image that cannot be read protects nothing."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from curation.params.copies import EvaluationSet
from shared.catalog import MEASUREMENTS, REFERENCES
from shared.errors import WorkFailedError
from shared.tables import Rows


def unreadable_images(references: Rows, measurements: Rows, sets: Sequence[EvaluationSet]) -> dict[str, int]:
    """Return how many images of each set cannot be read or decoded; sets without any are left out.

    Raises WorkFailedError for a set of which nothing can be read: against it the corpus would be checked in name only.
    """
    names = references.table(REFERENCES, ["source"])["source"].cast(pa.string())
    errors = measurements.table(MEASUREMENTS, ["error"])["error"]
    counts = {}
    for one in sets:
        of_set = errors.filter(pc.equal(names, one.name))
        bad = len(of_set) - of_set.null_count
        if bad == len(of_set):
            first = of_set[0].as_py() if bad else "it holds none"
            raise WorkFailedError(
                f"decontaminate needs readable images of the evaluation set {one.name!r}, got none of {bad:,}: "
                f"{first}. Mend its source {one.source.url}, or take the set out of the recipe."
            )
        if bad:
            counts[one.name] = bad
    return counts
