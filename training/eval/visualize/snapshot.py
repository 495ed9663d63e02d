"""A snapshot: what one checkpoint saw in a few images, small enough to keep when the checkpoint is gone.

Arrays alone, and where the images' bytes lie; whoever draws them needs numpy and no torch. In a run's folder as
pictures/STEP.npz, and pictures/random_init.npz of the untrained model.

Shapes: S subjects, I images that are shown, H W patches, K components, h heads, k neighbours.
"""

import io
from dataclasses import dataclass, fields

import numpy as np

from shared.storage import Store

FOLDER = "pictures"
LOWEST, HIGHEST = -2, 3
"""Powers of 2 between which attention is written, in even shares."""


@dataclass(frozen=True)
class Snapshot:
    """The subjects are the first S of the images that are shown."""

    shard: np.ndarray
    """shard_I: names."""
    offset: np.ndarray
    length: np.ndarray
    rotation: np.ndarray
    """rotation_I, degrees counter-clockwise to turn the decoded pixels."""
    label: np.ndarray
    """label_I: names, empty where there is none."""
    resize: np.ndarray
    """The subjects' shorter side was so many sides of the centre crop: one number."""
    components: np.ndarray
    """components_SHWK of the patches of all subjects."""
    foreground: np.ndarray
    """foreground_SHW, by the first component."""
    objects: np.ndarray
    """objects_SHWK: components of the foreground's patches alone; 0 outside."""
    attention: np.ndarray
    """attention_ShHW of CLS in the last block, as bytes of `written`."""
    neighbours: np.ndarray
    """neighbours_Sk: which of the images that are shown are nearest to each subject."""
    cosine: np.ndarray
    """cosine_Sk."""

    @property
    def subjects(self) -> int:
        """How many images were looked at."""
        return len(self.components)

    def same_subjects(self, other: "Snapshot") -> bool:
        """Tell whether two snapshots show the same images at the same size, so that they can be laid side by side."""
        places = [(a.shard[: a.subjects], a.offset[: a.subjects]) for a in (self, other)]
        same = all(np.array_equal(a, b) for a, b in zip(*places, strict=True))
        return same and bool(self.components.shape == other.components.shape)

    def write(self, run: Store, name: str) -> None:
        """Commit it to a run's folder."""
        file = io.BytesIO()
        np.savez_compressed(file, **{field.name: getattr(self, field.name) for field in fields(self)})
        run.write(f"{FOLDER}/{name}.npz", file.getvalue())


def written(attention: np.ndarray, patches: int) -> np.ndarray:
    """Return attention as bytes: the logarithm of how many times an even share it is, from a quarter to 8 times."""
    octaves = np.log2(np.maximum(attention * patches, 1e-9))
    data: np.ndarray = np.rint(255 * np.clip((octaves - LOWEST) / (HIGHEST - LOWEST), 0, 1)).astype(np.uint8)
    return data


def shares(octaves: np.ndarray) -> np.ndarray:
    """Return how many times an even share written attention is."""
    times: np.ndarray = 2.0 ** (octaves / 255 * (HIGHEST - LOWEST) + LOWEST)
    return times


def read_snapshots(run: Store) -> dict[str, Snapshot]:
    """Return the snapshots of a run by name: `random_init` first, then steps ascending."""
    names = [name.removesuffix(".npz") for name in run.names(FOLDER) if name.endswith(".npz")]
    return {name: _read(run, name) for name in sorted(names, key=lambda name: int(name) if name.isdigit() else -1)}


def _read(run: Store, name: str) -> Snapshot:
    with np.load(io.BytesIO(run.read(f"{FOLDER}/{name}.npz")), allow_pickle=False) as arrays:
        return Snapshot(**{field.name: arrays[field.name] for field in fields(Snapshot)})
