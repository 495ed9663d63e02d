"""What quality rules look at: each number of an image with its title, its unit, and how it follows from a table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    Derived = Callable[["pa.Table", "pa.DataType"], "pa.ChunkedArray"]
    """A table and a type of numbers to a column."""


@dataclass(frozen=True)
class Signal:
    """A number of an image, in absolute units."""

    name: str
    """Its column in MEASUREMENTS and MANIFEST, unless it is derived from other columns."""
    title: str
    unit: str
    span: tuple[float, float] | None = None
    """The range that it can take; None = that of the data."""
    counts: bool = False
    """Whether it counts whole things, and so needs no digits behind the point."""
    derived: "Derived | None" = None

    def column(self, table: "pa.Table", numbers: "pa.DataType") -> "pa.ChunkedArray":
        """Return the signal of every image in a table of measurements, or of published images."""
        return self.derived(table, numbers) if self.derived else table[self.name].cast(numbers)


def _shorter_side(table: "pa.Table", numbers: "pa.DataType") -> "pa.ChunkedArray":
    import pyarrow.compute as pc

    return pc.min_element_wise(table["width"].cast(numbers), table["height"].cast(numbers), skip_nulls=False)


def _megapixels(table: "pa.Table", numbers: "pa.DataType") -> "pa.ChunkedArray":
    import pyarrow as pa
    import pyarrow.compute as pc

    pixels = pc.multiply(table["width"].cast(numbers), table["height"].cast(numbers))
    return pc.divide(pixels, pa.scalar(1e6, numbers))


LUMA_P5 = Signal("luma_p5", "Darkest pixels", "brightness that 5 % of the pixels stay below: 0 black, 1 white", (0, 1))
LUMA_P99 = Signal(
    "luma_p99", "Brightest pixels", "brightness that 99 % of the pixels stay below: 0 black, 1 white", (0, 1)
)
ASPECT = Signal("aspect", "Aspect", "shorter side / longer side: 1 is square", (0, 1))
ENTROPY = Signal("entropy", "Information", "entropy of the gray tones, in bits", (0, 8))
SHARPNESS = Signal("sharpness", "Sharpness", "0 blurred, 1 sharp", (0, 1))
DETAIL = Signal("detail", "Fine detail", "gray levels; images with too little are compared for equality only")
SHORTER_SIDE = Signal("shorter_side", "Shorter side", "pixels", counts=True, derived=_shorter_side)
MEGAPIXELS = Signal("megapixels", "Size", "megapixels", derived=_megapixels)

PUBLISHED = (LUMA_P5, LUMA_P99, ASPECT, ENTROPY, SHARPNESS, DETAIL)
"""The measured signals, in the order of `shared.catalog.SIGNALS`: drawn in a report even where no rule looks."""
