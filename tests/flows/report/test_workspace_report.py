"""The report of a workspace is made from whatever files are there, whole or half-written."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from flows.report import render_workspace
from flows.report.run import read
from flows.report.run.scores import evaluations, score_charts
from shared.storage import Store


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


def scores(knn: float) -> list[dict[str, Any]]:
    return [{"evaluation": "knn", "metric": "top1", "value": knn, "protocol": {"k": 20, "temperature": 0.07}}]


@pytest.fixture
def workspace(tmp_path: Path) -> Store:
    for version, kept in (("v0001", 900), ("v0002", 950)):
        folder = tmp_path / "datasets/photos" / version
        write(folder / "dataset.json", {"created": "2025-06-01T10:20:30", "counts": {"kept": kept, "dropped": 100}})
    write(tmp_path / "datasets/photos/v0002/report.html", "<html>")
    lines = [{"step": s, "loss": 9 - s / 10, "lr": s * 1e-5, "images_per_second": 300, "note": "x"} for s in range(50)]
    metrics = "\n".join(map(json.dumps, lines)) + '\nnot json\n{"step": 50, "loss": NaN}\n{"step": 51, "lo'
    write(tmp_path / "runs/first/metrics.jsonl", metrics)
    write(tmp_path / "runs/first/config.json", {"model": "vit_small"})
    write(tmp_path / "runs/first/pretrain.json", {"seconds": 1234.5, "device": "cpu"})
    write(tmp_path / "runs/bare/config.json", "{")
    picture = io.BytesIO()
    Image.new("RGB", (2000, 300), "red").save(picture, "PNG")
    (tmp_path / "runs/first/views.png").write_bytes(picture.getvalue())
    for step, knn in ((20, 0.31), (40, 0.415)):
        baselines = {"random_init": scores(0.222), "pixels": scores(0.141)}
        told = {"run": "first", "step": step, "dataset": "photos", "scores": scores(knn), "baselines": baselines}
        write(tmp_path / f"evaluations/first/{step}.json", told)
    return Store(str(tmp_path))


def test_datasets_runs_and_scores_are_on_the_page(workspace: Store) -> None:
    html = render_workspace(workspace)
    assert html.index("v0002") < html.index("v0001")
    assert 'href="datasets/photos/v0002/report.html"' in html
    assert "v0001/report.html" not in html
    for text in ("Loss", "Learning rate", "Images per second", "last step 50", "1,234", "vit_small", "data:image/jpeg"):
        assert text in html
    assert "No step has been logged yet" in html
    assert len(html) < 3e6


def test_a_score_stands_beside_its_baselines(workspace: Store) -> None:
    html = render_workspace(workspace)
    for text in ("0.415", "0.222", "0.141", "untrained model", "raw pixels", "k 20, temperature 0.07"):
        assert text in html
    assert "0.310" not in html
    assert html.count('class="base b') == 2


def test_a_model_below_a_baseline_is_marked(workspace: Store) -> None:
    told = {"scores": scores(0.1), "baselines": {"pixels": scores(0.2)}}
    workspace.write("evaluations/worse/7.json", json.dumps(told))
    assert render_workspace(workspace).count('<i class="quality"') == 1


def test_where_less_is_better_a_lower_score_beats_a_baseline(workspace: Store) -> None:
    def even(value: float) -> list[dict[str, Any]]:
        protocol = {"better": "lower", "iou": {"sky": 0.51234}, "l2_tried": [0.001, 0.1]}
        return [{"evaluation": "alignment", "metric": "alignment", "value": value, "protocol": protocol}]

    workspace.write("evaluations/even/7.json", json.dumps({"scores": even(0.1), "baselines": {"pixels": even(0.2)}}))
    html = render_workspace(workspace)
    assert html.count('<i class="quality"') == 0
    assert "better lower, iou (sky 0.512), l2_tried 0.001 / 0.1" in html


def test_of_many_k_the_main_one_is_drawn(workspace: Store) -> None:
    told = {"scores": [*scores(0.3), {"evaluation": "knn", "metric": "top1 k=10", "value": 0.2}]}
    for step in (1, 2):
        workspace.write(f"evaluations/several/{step}.json", json.dumps(told))
    charts = score_charts(evaluations(workspace))
    assert [chart["title"] for chart in charts] == ["knn top1", "knn top1"]


def test_an_empty_workspace_says_what_to_run(tmp_path: Path) -> None:
    html = render_workspace(Store(str(tmp_path / "nothing")))
    assert "Nothing here yet" in html
    assert "dinoflow demo" in html


def test_the_next_step_follows_from_what_is_there(tmp_path: Path, workspace: Store) -> None:
    assert "dinoflow export" in render_workspace(workspace)
    lone = Store(str(tmp_path / "lone"))
    lone.write("datasets/photos/v0001/dataset.json", "{}")
    assert "dinoflow pretrain" in render_workspace(lone)
    lone.write("runs/one/metrics.jsonl", "")
    assert "dinoflow evaluate" in render_workspace(lone)


def test_names_are_escaped(workspace: Store) -> None:
    nasty = "<script>&"
    workspace.write(f"runs/{nasty}/metrics.jsonl", json.dumps({"step": 1, "loss": 2.0, f"loss_{nasty}": 1.0}))
    workspace.write(f"runs/{nasty}/config.json", json.dumps({nasty: nasty}))
    workspace.write(f"evaluations/{nasty}/1.json", json.dumps({"scores": scores(0.3), "dataset": nasty}))
    assert "<script" not in render_workspace(workspace)


def test_of_huge_metrics_only_pieces_are_read(workspace: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "WHOLE", 1 << 16)
    monkeypatch.setattr(read, "PIECES", 10)
    monkeypatch.setattr(read, "PIECE", 1 << 10)
    workspace.write("runs/long/metrics.jsonl", "".join(f'{{"step": {i}, "loss": 1.5}}\n' for i in range(20_000)))
    steps, _ = read.column(read.rows(workspace, "runs/long/metrics.jsonl"), "loss")
    assert 100 < len(steps) < 500
    assert steps[0] == 0
    assert steps[-1] == 19_999


def test_the_report_does_not_import_prefect() -> None:
    code = "import sys, flows.report; sys.exit('prefect' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
