"""Real DINOv2 weights on real photographs, where ../shared/data is there; the whole table is in tests/benchmarks."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from shared.params import Compute
from training.eval.evaluate import evaluate_models
from training.eval.params import EvaluateParams
from training.eval.protocols.knn import Knn
from training.eval.sets import ManifestSet

PLACES = [folder / "shared" / "data" for folder in Path(__file__).parents[3].parents]
DATA = next((place for place in PLACES if (place / "models").is_dir()), None)
WEIGHTS = "models/dinov2_vits14_finetuned_fp16.safetensors"
CLASSES = ("airplanes", "Motorbikes", "watch", "bonsai", "chandelier", "hawksbill")


@pytest.mark.skipif(DATA is None, reason="needs the development data in ../shared/data")
def test_real_weights_tell_photographs_apart_far_better_than_pixels(tmp_path: Path) -> None:
    assert DATA is not None
    with (DATA / "classification" / "labels.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["class"] in CLASSES and row["set"] == "caltech20"]
    seen: Counter[tuple[str, str]] = Counter()
    lines = ["path,label,split"]
    for row in rows:
        seen[row["class"], row["split"]] += 1
        if seen[row["class"], row["split"]] <= {"train": 6, "test": 3}[row["split"]]:
            lines.append(f"{row['path']},{row['class']},{row['split']}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    photographs = ManifestSet(url=str(tmp_path / "list.csv"), root=str(DATA))
    params = EvaluateParams(
        sets=(photographs,), evaluations=(Knn(k=3, also=()),), layer=9, features="patch_mean", image_size=112
    )
    facts = evaluate_models({"dinov2": str(DATA / WEIGHTS)}, params, Compute(workers=1, device="cpu"), None)
    top1 = {row["model"]: row["value"] for row in facts["results"]}
    assert top1["dinov2"] > max(0.75, top1["pixels"] + 0.15)
