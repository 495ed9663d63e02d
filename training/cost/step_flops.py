"""What a step must multiply, from the params alone: the work that a machine's speed is measured by.

A product of (a × b) and (b × c) is 2abc FLOPs. For an image of n tokens of width D, a block's forward pass is

    2n · (3D² + D² + D·F₁ + F₂·D) + 4n²D

with F₁ outputs of the first and F₂ inputs of the second feed-forward layer; n² is for queries times keys and for
weights times values. Norms, softmax and activations are left out (Kaplan et al. 2020; Chowdhery et al. 2022, app. B).
A backward pass is two forward passes, one for the inputs and one for the weights; pixels need none, the teacher
neither. Work that is done twice to save memory does not count: this is for MFU, not HFU. A frozen teacher counts as one
of the student's own size, because params alone do not tell its own.
"""

from itertools import pairwise
from typing import NamedTuple

from training.data.masking import hidden_patches
from training.model.drop_path import drop_path_rates, kept_of_group
from training.model.vit import ffn_columns
from training.params import ModelParams, PretrainParams


class Flops(NamedTuple):
    """FLOPs of one step of the global batch."""

    true: float
    """What is computed: without the images that drop path skips, and without last tokens that nobody reads."""
    nominal: float
    """All of it: what published shares of a peak mostly mean."""


class SizedCrops(NamedTuple):
    """Crops of one size in a step."""

    of_image: int
    images: int
    patches: int

    @property
    def all(self) -> int:
        """Crops of all images."""
        return self.of_image * self.images

    def kept(self, rate: float, group: int) -> int:
        """Return on how many of them a branch works that skips some."""
        return kept_of_group(self.of_image * group, rate) * (self.images // group) if rate else self.all


def step_flops(params: PretrainParams) -> Flops:
    """Return the FLOPs of one step, over all processes."""
    student, model = student_crops(params, params.optim.batch_size), params.model
    global_crops = student[0]
    hidden = headed_patches(global_crops, params)
    read = global_crops.all * global_crops.patches if params.objective.gram else hidden

    def of_step(true: bool) -> float:
        blocks = 3 * _blocks(student, params, read, drop_path=true, prunes=true)
        blocks += _blocks([global_crops], params, hidden, drop_path=False, prunes=true)
        pixels = 2 * _embedding(student, model) + _embedding([global_crops], model)
        return blocks + pixels + 3 * _heads(student, params, hidden) + _heads([global_crops], params, hidden)

    return Flops(of_step(True), of_step(False))


def headed_patches(global_crops: SizedCrops, params: PretrainParams) -> int:
    """Return how many patches go through a head: the hidden ones, or all."""
    if params.objective.reads_all_patches:
        return global_crops.all * global_crops.patches
    return hidden_patches(global_crops.all, global_crops.patches, params.objective)


def _blocks(sizes: list[SizedCrops], params: PretrainParams, hidden: int, *, drop_path: bool, prunes: bool) -> float:
    """Return the FLOPs of one forward pass through all blocks."""
    model, width = params.model, params.model.width
    columns = ffn_columns(model)
    inner = columns // 2 if model.ffn == "swiglu" else columns
    read, total = sum(size.all for size in sizes) + hidden, 0.0
    for block, rate in enumerate(drop_path_rates(model) if drop_path else [0.0] * model.depth):
        kept = [(size.kept(rate, params.objective.koleo_group), tokens_of(size, model)) for size in sizes]
        tokens = sum(images * each for images, each in kept)
        projected = read if prunes and block == model.depth - 1 else tokens
        total += 2 * tokens * 3 * width**2 + 4 * width * sum(images * each**2 for images, each in kept)
        total += 2 * projected * (width**2 + width * (columns + inner))
    return total


def student_crops(params: PretrainParams, images: int) -> list[SizedCrops]:
    """Return what the student sees of so many images, size by size."""
    patch = params.model.patch_size
    return [SizedCrops(count, images, (size // patch) ** 2) for count, size in params.crops.sizes]


def tokens_of(size: SizedCrops, model: ModelParams) -> int:
    """Return the tokens of one crop."""
    return 1 + model.registers + size.patches


def _embedding(sizes: list[SizedCrops], model: ModelParams) -> float:
    """Return the FLOPs of turning pixels into tokens."""
    return sum(2.0 * size.all * size.patches * 3 * model.patch_size**2 * model.width for size in sizes)


def _heads(sizes: list[SizedCrops], params: PretrainParams, hidden: int) -> float:
    """Return the FLOPs of heads and prototypes for the CLS tokens and the masked patches."""
    crops, objective = sum(size.all for size in sizes), params.objective
    if objective.by_features:
        return 2.0 * (crops + hidden) * params.model.width**2
    shapes = objective.head_shapes
    total = 0.0
    for rows, (bottleneck, prototypes) in zip((crops, hidden), (shapes[0], shapes[-1]), strict=True):
        layers = (params.model.width, objective.head_hidden, objective.head_hidden, bottleneck, prototypes)
        total += 2.0 * rows * sum(a * b for a, b in pairwise(layers))
    return total
