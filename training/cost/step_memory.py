"""What a training step keeps in a device's memory, estimated from the params alone.

Autograd keeps, for each token that a branch works on, numbers of these many bytes (D width, F₁ outputs of the first
and F₂ inputs of the second feed-forward layer, h bytes of a half or whole float; after Korthikanti et al. 2022, with
attention that stores no matrix of T × T):

    attention   4D of the residual keyed_rng + h · (D normalised + 3D queries, keys, values + 2D mixed)
    MLP         4D of the residual keyed_rng + h · (D normalised + F₁ + F₂), a gate keeps F₂ more

With activation checkpointing only the residual keyed_rng of each branch stays, and one branch at a time is made again.
The last block's attention is never recomputed, and the rest of that block is for the few tokens that a loss reads.
Pixels stay for the gradient of the patch embedding.
"""

from typing import NamedTuple

from training.cost.step_flops import headed_patches, student_crops, tokens_of
from training.model.drop_path import drop_path_rates
from training.model.vit import ffn_columns
from training.params import PretrainParams

FLOAT = 4
CHUNK_COPIES = 3
"""Scores, targets and gradients of a chunk of prototypes."""


class Memory(NamedTuple):
    """Bytes on one device."""

    state: float
    """Student's weights, gradients and Adam's two moments, teacher's weights; the student's again in half precision."""
    activations: float
    """What autograd keeps for the backward pass."""
    recomputed: float
    """What is made again of the branch at hand."""
    chunk: float
    """The scores of one chunk of prototypes."""

    @property
    def total(self) -> float:
        """All of it; libraries and fragments come on top."""
        return sum(self)


def step_memory(params: PretrainParams, parameters: int, images: int, chunk: int) -> Memory:
    """Return the memory of a step over so many images at once, in chunks of so many prototypes."""
    model = params.model
    half = FLOAT if params.optim.precision == "fp32" else 2
    columns = ffn_columns(model)
    gated = model.ffn == "swiglu"
    inner = columns // 2 if gated else columns
    keyed_rng = FLOAT * model.width
    attention = keyed_rng + half * 6 * model.width
    feed_forward = keyed_rng + half * (model.width + columns + inner * (2 if gated else 1))
    crops, group = student_crops(params, images), params.objective.koleo_group

    def tokens(rate: float) -> int:
        return sum(size.kept(rate, group) * tokens_of(size, model) for size in crops)

    *rates, last = drop_path_rates(model)
    kept = half * 3.0 * model.patch_size**2 * sum(size.all * size.patches for size in crops) + attention * tokens(last)
    for rate in rates:
        kept += tokens(rate) * (2 * keyed_rng if model.activation_checkpointing else attention + feed_forward)
    most = max(tokens(rate) for rate in rates or [0.0]) * max(attention, feed_forward)
    rows = sum(size.all for size in crops) + headed_patches(crops[0], params)
    return Memory(
        state=float((5 * FLOAT + half % FLOAT) * parameters),
        activations=kept,
        recomputed=most if model.activation_checkpointing else 0.0,
        chunk=float(CHUNK_COPIES * FLOAT * rows * min(chunk, params.objective.prototypes)),
    )
