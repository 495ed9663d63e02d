"""Runs a model so that what it says of one input depends on that input alone.

Products of matrices round differently in batches of different sizes: EfficientNet's unit vectors by 2e-7, enough
to change one 16-bit value in 270. So a CPU sees one input at a time, which costs it little (EfficientNet-Lite0
14 ms instead of 11, ViT-S 98 instead of 88), and a GPU sees batches of one size, the last filled up with zeros.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from curation.arrays import Array, Floats
from shared.errors import RecipeError


class RefusedError(Exception):
    """The model cannot take such an input; the text is its own."""


@dataclass(frozen=True)
class Network:
    """A model on its device."""

    name: str
    """How messages call it: its path or its name."""
    forward: Callable[[Array], Any]
    """A batch [b, …] to an array. Raises RefusedError where the batch does not suit the model."""
    batch: int = 1
    """Every batch has this size."""

    def __call__(self, inputs: Sequence[Array]) -> Floats:
        """Return one float32 row for each input. Raises RecipeError when the model does not fit its use."""
        return np.concatenate([self._rows(inputs[i : i + self.batch]) for i in range(0, len(inputs), self.batch)])

    def _rows(self, inputs: Sequence[Array]) -> Floats:
        batch = np.zeros((self.batch, *inputs[0].shape), inputs[0].dtype)
        batch[: len(inputs)] = inputs
        try:
            rows = self.forward(batch)
        except RefusedError as error:
            raise RecipeError(
                f"{self.name} needs inputs as it was exported for, got {list(batch.shape)}: {error}. "
                "Set the size that it was trained at, or give the model that belongs to these embeddings."
            ) from None
        if getattr(rows, "ndim", 0) == 1 and len(rows) == len(batch):
            rows = rows[:, None]
        if getattr(rows, "ndim", 0) != 2 or len(rows) != len(batch):
            got = list(rows.shape) if hasattr(rows, "shape") else type(rows).__name__
            raise RecipeError(
                f"{self.name} needs to return one row of numbers for each input, [{len(batch)}, columns], got {got}. "
                "Export the model with its pooling and a single output."
            )
        return np.asarray(rows[: len(inputs)], dtype=np.float32)


def normalised(pixels: Array, mean: Sequence[float], std: Sequence[float]) -> Floats:
    """Return pixels [height, width, 3], 0 to 255, as floats [3, height, width] with mean 0 and deviation 1."""
    shift, scale = 255 * np.asarray(mean, np.float32), 255 * np.asarray(std, np.float32)
    return np.ascontiguousarray(((pixels - shift) / scale).transpose(2, 0, 1))


def unit(rows: Floats) -> Floats:
    """Return the rows at length 1; zeros, which resemble nothing, for a row without direction or not finite."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    sound = np.isfinite(lengths) & (lengths > 1e-12)
    return np.where(sound, rows / np.where(sound, lengths, 1), 0).astype(np.float32)
