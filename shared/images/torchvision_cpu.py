"""Lets torchvision be imported beside a CPU-only torch: import this module before timm or imagededup.

The one torchvision wheel on PyPI is linked against CUDA. Beside a CPU build of torch its compiled part does
not load, and `import torchvision` fails on two operators that nobody here calls. Declaring their schemas is
enough. Beside a CUDA build this does nothing.
"""

import torch

OPERATORS = ("nms", "qnms")
SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

if torch.version.cuda is None and torch.version.hip is None:
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for operator in OPERATORS:
        library.define(f"{operator}{SCHEMA}")  # type: ignore[no-untyped-call]
