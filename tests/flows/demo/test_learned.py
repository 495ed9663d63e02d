"""The demo says yes only where chance does not explain it."""

import json
from pathlib import Path

import pytest

from flows.demo.learned import learned
from shared.storage import Store


def scored(workspace: Path, trained: float, untrained: float, pixels: float, queries: int = 400) -> Store:
    def scores(value: float) -> list[dict[str, object]]:
        knn = {"evaluation": "knn", "metric": "top1", "set": "questions", "value": value}
        return [knn | {"protocol": {"queries": queries}}]

    baselines = {"random_init": scores(untrained), "pixels": scores(pixels)}
    for step, value in ((1, 0.99), (2, trained)):
        whole = {"step": step, "scores": scores(value), "baselines": baselines}
        (workspace / "evaluations" / "run").mkdir(parents=True, exist_ok=True)
        (workspace / "evaluations" / "run" / f"{step}.json").write_text(json.dumps(whole))
    return Store(str(workspace))


def test_yes_takes_two_standard_errors_above_every_baseline(tmp_path: Path) -> None:
    said = learned(scored(tmp_path, 0.40, 0.20, 0.30), "run")
    assert said == (
        "yes: k-NN 0.400 on 400 pictures that it never saw; the untrained model 0.200 (+6.3 standard errors), "
        "raw pixels 0.300 (+3.0 standard errors)."
    )


@pytest.mark.parametrize(("untrained", "pixels"), [(0.2, 0.36), (0.36, 0.2), (0.2, 0.5)])
def test_level_with_a_baseline_is_not_clearly(tmp_path: Path, untrained: float, pixels: float) -> None:
    assert learned(scored(tmp_path, 0.40, untrained, pixels), "run").startswith("not clearly: k-NN 0.400")


def test_few_pictures_prove_little(tmp_path: Path) -> None:
    assert learned(scored(tmp_path, 0.40, 0.20, 0.30, queries=50), "run").startswith("not clearly")
