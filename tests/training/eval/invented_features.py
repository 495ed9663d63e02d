"""Invented features with classes that hang together, for the tests of evaluations."""

import torch
from torch import Tensor

from training.eval.inputs import LabelledFeatures


def labelled(
    bank: int = 90, queries: int = 40, classes: int = 5, width: int = 6, noise: float = 1.0
) -> LabelledFeatures:
    """Return clusters that overlap, always the same."""
    generator = torch.Generator().manual_seed(0)
    centre = torch.randn(classes, width, generator=generator)
    label = torch.arange(bank + queries) % classes

    def around(label: Tensor) -> Tensor:
        return centre[label] + noise * torch.randn(len(label), width, generator=generator)

    names = tuple(f"class {number}" for number in range(classes))
    return LabelledFeatures(around(label[:bank]), label[:bank], around(label[bank:]), label[bank:], names)


def rearranged(inputs: LabelledFeatures) -> LabelledFeatures:
    """Return the same images in another order."""
    bank, query = (
        torch.randperm(len(x), generator=torch.Generator().manual_seed(1)) for x in (inputs.bank, inputs.queries)
    )
    return LabelledFeatures(
        inputs.bank[bank], inputs.bank_label[bank], inputs.queries[query], inputs.query_label[query], inputs.classes
    )
