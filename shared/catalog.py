"""Every table of the pipeline, on one page.

Rows of one image stand at the same place in every table that is *aligned* with the index, part by part, so that
side-by-side reading replaces joins. Other tables are aligned with the evaluation sets or with the pairs of
candidates; one that is aligned with none says by `part` and `row` which image it speaks of.
"""

from typing import Literal

from shared.schema import FLOAT, HASH, HASHES, ID, INT, LONG, SCORES, TEXT, THUMBNAIL, VECTOR, WORD, Contract

SIGNALS = ("luma_p5", "luma_p99", "aspect", "entropy", "sharpness", "detail")
"""The measured quality signals, in absolute units."""

IMAGES = Contract(
    "images",
    {
        "uri": TEXT,  # unique in the corpus
        "source": WORD,  # the source's name in the recipe
        "label": TEXT,  # null where the source has none
        "reader": WORD,  # how: a `range` of a file, a `deflate`d one of a zip, a row of a `parquet` or `arrow` file; or
        # `refused`: not at all
        "path": TEXT,  # the file that holds the bytes
        "member": TEXT,  # the column inside a Parquet or Arrow file, or why it is refused
        "offset": LONG,  # first byte in the file, or row number in a Parquet or Arrow file
        "length": LONG,  # bytes; null where only reading tells
        "rotation": INT,  # degrees counter-clockwise that the source says the pixels must be turned; null = none
        "stamp": TEXT,  # changes when the file changes: modification time or etag
    },
    optional={"metadata": TEXT},  # what the recipe keeps of sidecars and other columns, one JSON object; null = nothing
)
"""What there is: one row per image that a source offers."""

MEASUREMENTS = Contract(
    "measurements",
    {
        "image_id": ID,  # of the file's bytes; null when they cannot be read
        "pixels_id": ID,  # of size, upright pixels and what they hide (alpha, depth, frames); null when undecodable
        "width": INT,  # upright
        "height": INT,
        "format": WORD,
        "bytes": LONG,
        "phash": HASH,  # imagededup's PHash of the upright RGB pixels, those of large images halved
        "hashes": HASHES,  # by the recipe's hash, of the image without uniform borders, in its eight orientations
        "thumbnail": THUMBNAIL,  # of the image without uniform borders
        "luma_p5": FLOAT,  # percentiles of perceived brightness, 0 to 1
        "luma_p99": FLOAT,
        "aspect": FLOAT,  # shorter side / longer side
        "entropy": FLOAT,  # bits of the gray histogram, 0 to 8
        "sharpness": FLOAT,  # cleanvision's blur score, 0 blurred to 1 sharp
        "detail": FLOAT,  # standard deviation of the high-pass at 128 px, in gray levels
        "vector": VECTOR,  # unit norm
        "layout": VECTOR,  # the descriptor, where `vector` is another embedder's and candidates need both
        "scores": SCORES,  # one for each model rule that looks at pixels
        "error": TEXT,  # why it could not be read or decoded; null for a good image
    },
)
"""What one decode tells about an image. Every decision is a function of these."""

REFERENCES = Contract("references", IMAGES.columns, aligned="references", optional=IMAGES.optional)
"""The images of the evaluation sets; `source` is the name of the set."""

REFERENCE_MEASUREMENTS = Contract("reference_measurements", MEASUREMENTS.columns, aligned="references")
"""The same measurements of the evaluation images."""

VERDICTS = Contract(
    "verdicts",
    {"reason": WORD, "value": FLOAT, "threshold": FLOAT},
)
"""What the quality rules say: a null reason means that the image passes."""

WHERE = ("uri", "reader", "path", "member", "offset", "length", "rotation")
"""The columns of IMAGES that lead to an image's pixels."""

CANDIDATES = Contract(
    "candidates",
    {
        **{name: IMAGES.columns[name] for name in WHERE},
        "image_id": ID,
        "pixels_id": ID,
        **{f"other_{name}": IMAGES.columns[name] for name in WHERE},  # better in keep order, or of an evaluation set
        "other_image_id": ID,
        "other_pixels_id": ID,
        "set": WORD,  # the evaluation set of the other image; null when it is of the corpus
        "distance": INT,  # of the hashes that proposed the pair, in bits; null where only the embeddings did
    },
    aligned="candidates",
)
"""Pairs of images that may be copies: each image with its nearest others, as far as a closer look is worth it."""

VERIFIED = Contract(
    "verified",
    {
        "uri": TEXT,
        "other_uri": TEXT,
        "set": WORD,
        "distance": INT,
        "score": FLOAT,  # how much agrees: a copy from 1 on, where the verdict says so
        "verdict": WORD,  # copy · same scene · look-alike (much agrees, but what differs is content) · other
        "orientation": WORD,  # what lays the first over the other: upright, mirrored, turned …
    },
    aligned="candidates",
)
"""What the comparison of pixels says of each pair."""

CONTAMINATED = Contract(
    "contaminated",
    {
        "part": INT,
        "row": INT,
        "value": FLOAT,  # similarity: 1 for equal pixels, score or cosine
        "threshold": FLOAT,
        "kept_uri": TEXT,  # the evaluation image that it resembles
        "orientation": WORD,  # what lays it over that image; null where nothing was laid over it
        "set": WORD,
    },
    aligned=None,
)
"""Images that resemble one of an evaluation set; sorted by part and row."""

DUPLICATES = Contract(
    "duplicates",
    {
        "part": INT,
        "row": INT,
        "reason": WORD,
        "value": FLOAT,  # geometric score or cosine to the kept image; 0 for equal pixels
        "threshold": FLOAT,
        "kept_uri": TEXT,  # the kept image that it directly resembles
        "orientation": WORD,  # what lays it over that image; null where nothing was laid over it
    },
    aligned=None,
)
"""Images that directly resemble a kept one; sorted by part and row."""

SAMPLES = Contract(
    "samples",
    {"part": INT, "row": INT, "cluster": INT, "weight": FLOAT, "sampled": "bool"},
    aligned=None,
)
"""The kind of every image that is left after deduplication, whether balancing takes it, and how often it counts."""

DECISIONS = Contract(
    "decisions",
    {
        "stage": WORD,
        "reason": WORD,  # null = kept
        "value": FLOAT,
        "threshold": FLOAT,
        "kept_uri": TEXT,
        "orientation": WORD,  # what lays a copy over the kept image: upright, mirrored, turned …
        "cluster": INT,
        "weight": FLOAT,
    },
)
"""Kept or dropped, for every indexed image, with the first reason that holds."""

MANIFEST = Contract(
    "manifest",
    {
        "image_id": TEXT,  # hex
        "uri": TEXT,
        "source": WORD,
        "label": TEXT,
        "width": INT,
        "height": INT,
        "format": WORD,
        "bytes": LONG,
        "shard": TEXT,  # a pread of `length` bytes at `offset` of this tar gives the image's bytes
        "offset": LONG,
        "length": LONG,
        "rotation": INT,  # degrees counter-clockwise to turn the decoded pixels; null = none
        "phash": TEXT,  # hex
        **dict.fromkeys(SIGNALS, FLOAT),
        "cluster": INT,
        "weight": FLOAT,
    },
    aligned=None,
    optional={"metadata": TEXT},  # as in IMAGES
)
"""The published kept images."""

PACKED = Contract(
    "packed",
    {
        **{name: kind for name, kind in MANIFEST.columns.items() if name != "shard"},
        **{name: IMAGES.columns[name] for name in ("reader", "path", "member", "offset", "length")},
    },
    aligned=None,
    optional=MANIFEST.optional,
)
"""The images to publish, in the order of their ids, and where their sources hold them, a null path being the uri."""

HIDDEN = Contract(
    "hidden",
    {n: kind for n, kind in MANIFEST.columns.items() if n not in ("bytes", "phash", *SIGNALS, "cluster", "weight")},
    aligned=None,
    optional=MANIFEST.optional,
)
"""Members of a version's shards that it does not keep: tombstones, for whoever reads a tar as a whole."""

DROPPED = Contract(
    "dropped",
    {
        "uri": TEXT,
        "image_id": TEXT,  # hex; null when unreadable
        "source": WORD,
        "label": TEXT,
        **{name: kind for name, kind in DECISIONS.columns.items() if name not in ("cluster", "weight")},
        "error": TEXT,  # of an unreadable file
    },
    aligned=None,
)
"""The published dropped images, each with its reason and the evidence."""

CONFLICTS = Contract(
    "conflicts",
    {
        **{name: IMAGES.columns[name] for name in ("uri", "source", "label")},  # the dropped copy
        **{f"kept_{name}": IMAGES.columns[name] for name in ("uri", "source", "label")},  # the image that stands for it
        "reason": WORD,
        "value": FLOAT,
    },
    aligned=None,
)
"""Copies of one picture under different labels; published beside a version that has any."""

Group = Literal["broken", "quality", "duplicate", "contaminated", "sampled"]
"""Kinds of reasons to drop an image, each a colour on a page; the reasons stand in `curation.publish.reasons`."""
