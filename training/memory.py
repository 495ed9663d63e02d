"""What a training step keeps in a device's memory, estimated from the params alone.

Autograd keeps, for each token that a branch works on, numbers of these many bytes (D width, F₁ outputs of the first
and F₂ inputs of the second feed-forward layer, h bytes of a half or whole float; after Korthikanti et al. 2022, with
attention that stores no matrix of T × T):

    attention   4D of the residual stream + h · (D normalised + 3D queries, keys, values + 2D mixed)
    MLP         4D of the residual stream + h · (D normalised + F₁ + F₂), a gate keeps F₂ more

With activation checkpointing only the residual stream of each branch stays, and one branch at a time is made again.
The last block's attention is never recomputed, and the rest of that block is for the few tokens that a loss reads.
Pixels stay for the gradient of the patch embedding.
"""

from typing import NamedTuple

from training.masks import hidden_patches
from training.model import ffn_columns
from training.params import PretrainParams
from training.skipping import kept_of_group, skip_rates

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
    """Return the memory of a step that looks at so many images at once, in chunks of so many prototypes."""
    model, crops = params.model, params.crops
    half = FLOAT if params.optim.precision == "fp32" else 2
    columns = ffn_columns(model)
    gated = model.ffn == "swiglu"
    inner = columns // 2 if gated else columns
    stream = FLOAT * model.width
    attention = stream + half * 6 * model.width
    feed_forward = stream + half * (model.width + columns + inner * (2 if gated else 1))
    *rates, last = skip_rates(model)
    kept = float(half * 3 * model.patch_size**2 * _patches(params, images)) + attention * _tokens(params, images, last)
    for rate in rates:
        tokens = _tokens(params, images, rate)
        kept += tokens * (2 * stream if model.activation_checkpointing else attention + feed_forward)
    most = max(_tokens(params, images, rate) for rate in rates or [0.0]) * max(attention, feed_forward)
    rows = (crops.large_count + crops.small_count) * images
    side = crops.large_size // model.patch_size
    rows += hidden_patches(crops.large_count * images, side * side, params.objective)
    return Memory(
        state=float((5 * FLOAT + half % FLOAT) * parameters),
        activations=kept,
        recomputed=most if model.activation_checkpointing else 0.0,
        chunk=float(CHUNK_COPIES * FLOAT * rows * min(chunk, params.objective.prototypes)),
    )


def _patches(params: PretrainParams, images: int) -> int:
    """Return the patches of all crops."""
    crops, patch = params.crops, params.model.patch_size
    sizes = ((crops.large_count, crops.large_size), (crops.small_count, crops.small_size))
    return images * sum(count * (size // patch) ** 2 for count, size in sizes)


def _tokens(params: PretrainParams, images: int, rate: float) -> int:
    """Return the tokens of the student's crops that a branch works on."""
    crops, model, total = params.crops, params.model, 0
    for count, size in ((crops.large_count, crops.large_size), (crops.small_count, crops.small_size)):
        kept = count * images
        if rate and count:
            group = min(params.objective.koleo_group, images)
            kept = kept_of_group(count * group, rate) * images // group
        total += kept * (1 + model.registers + (size // model.patch_size) ** 2)
    return total
