"""Which columns each stage reads of each table: while these are as they were, what was made of them is found again.

A stage is given these columns and no others: one that is missing here fails where it is read. What a stage does not
read stays out: a stamp that changed is read by `measure`, a label by `balance` and `pack`, a threshold by `select`.
"""

from shared.catalog import (
    CANDIDATES,
    CONTAMINATED,
    DECISIONS,
    DUPLICATES,
    IMAGES,
    MEASUREMENTS,
    REFERENCE_MEASUREMENTS,
    REFERENCES,
    SAMPLES,
    SIGNALS,
    VERDICTS,
    VERIFIED,
    WHERE,
)

PASSED = VERDICTS.only("reason")
COMPARABLE = ("image_id", "pixels_id", "width", "height", "bytes", "aspect", "entropy", "sharpness", "detail", "vector")
"""What may be compared, how much of it there is, and which of two copies is better."""
SEARCHABLE = (*COMPARABLE, "hashes", "thumbnail", "layout")

MEASURE = (IMAGES.only(*WHERE, "stamp"),)
MEASURE_REFERENCES = (REFERENCES.only(*WHERE, "stamp"),)
QUALITY = (MEASUREMENTS.only("pixels_id", "width", "height", "bytes", *SIGNALS, "vector", "scores"),)
"""The numbers that a rule may look at."""
PROPOSE = (
    IMAGES.only(*WHERE, "source"),
    MEASUREMENTS.only(*SEARCHABLE),
    PASSED,
    REFERENCES.only(*WHERE, "source"),
    REFERENCE_MEASUREMENTS.only(*SEARCHABLE),
)
VERIFY = (CANDIDATES,)
DECONTAMINATE = (
    IMAGES.only("uri", "source"),
    MEASUREMENTS.only(*COMPARABLE),
    PASSED,
    REFERENCES.only("uri", "source"),
    REFERENCE_MEASUREMENTS.only(*COMPARABLE, "error"),
    VERIFIED,
)
DEDUP = (
    IMAGES.only("uri", "source"),
    MEASUREMENTS.only(*COMPARABLE),
    PASSED,
    VERIFIED,
    CONTAMINATED.only("part", "row"),
)
BALANCE = (
    IMAGES.only("source", "label"),
    MEASUREMENTS.only(*COMPARABLE),
    PASSED,
    CONTAMINATED.only("part", "row"),
    DUPLICATES.only("part", "row"),
)
SELECT = (MEASUREMENTS.only("error"), VERDICTS, CONTAMINATED, DUPLICATES, SAMPLES)
PACK = (
    IMAGES.only(*WHERE, "source", "label", "metadata"),
    MEASUREMENTS.only("image_id", "width", "height", "format", "bytes", "phash", *SIGNALS, "error"),
    DECISIONS,
)
