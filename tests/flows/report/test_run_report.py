"""The report of a run answers three questions from whatever files are there, whole, half-written or none."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.inspect.report import draw_reports
from flows.report import render_run, render_workspace
from flows.report.run.summary import summary
from shared.dataset_version import Published
from shared.storage import Store
from tests.training.publishing import invented, publish
from training.eval.visualize.snapshot import Snapshot

SUBJECTS, SIDE, HEADS, NEAR = 3, 4, 2, 5


def score(evaluation: str, metric: str, value: float) -> dict[str, Any]:
    protocol = {"k": 20, "queries": 100, "image_size": 64}
    return {"evaluation": evaluation, "metric": metric, "value": value, "protocol": protocol}


def album(dataset: Published, seed: int, label: str = "cat") -> Snapshot:
    rng = np.random.default_rng(seed)
    rows = dataset.table("manifest", ["shard", "offset", "length"]).slice(0, 8).to_pydict()
    return Snapshot(
        shard=np.array(rows["shard"]),
        offset=np.array(rows["offset"]),
        length=np.array(rows["length"]),
        rotation=np.zeros(8, dtype=int),
        label=np.array([label] * 8),
        resize=np.array(1.143),
        components=rng.normal(size=(SUBJECTS, SIDE, SIDE, 3)).astype(np.float16),
        foreground=rng.random((SUBJECTS, SIDE, SIDE)) > 0.5,
        objects=rng.normal(size=(SUBJECTS, SIDE, SIDE, 3)).astype(np.float16),
        attention=rng.integers(0, 256, (SUBJECTS, HEADS, SIDE, SIDE)).astype(np.uint8),
        neighbours=np.tile(np.arange(SUBJECTS, SUBJECTS + NEAR), (SUBJECTS, 1)),
        cosine=np.linspace(1, 0.5, NEAR)[None].repeat(SUBJECTS, 0).astype(np.float16),
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Store:
    store = Store(str(tmp_path))
    dataset = publish(tmp_path, invented(20, 2))
    params = {
        "model": {"depth": 4, "width": 192, "patch_size": 16},
        "optim": {"steps": 60, "batch_size": 8},
    }
    resolved = {"device": "cpu", "processes": 1, "training_images": 18, "backbone_parameters": 1_930_000}
    config = {"params": params, "dataset": "tiny v0001", "resolved": resolved}
    store.write("runs/first/config.json", json.dumps(config))
    lines = [
        {
            "step": s,
            "loss": 9 - s / 10,
            "lr": 1e-3,
            "data_wait": 0.01,
            "images_per_second": 90,
            "mfu": 0.4,
            "taken": True,
        }
        for s in range(1, 61)
    ]
    lines[9] |= {"knn_top1": 0.31}
    lines[19] |= {"knn_top1": 0.35, "teacher_effective_rank": 30.0}
    store.write("runs/first/metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    store.write("runs/first/pretrain.json", json.dumps({"seconds": 754.0, "images_per_second": 91.0}))
    store.write("runs/first/best.json", json.dumps({"step": 40, "by": "knn top1", "value": 0.62}))
    baselines = {"random_init": [score("knn", "top1", 0.22)], "pixels": [score("knn", "top1", 0.41)]}
    for run, step, knn in (("first", 20, 0.5), ("first", 40, 0.62), ("first", 60, 0.6), ("second", 60, 0.7)):
        scores = [score("knn", "top1", knn), score("effective_rank", "rank", 31.0)]
        told = {"run": run, "step": step, "dataset": "tiny v0001", "scores": scores, "baselines": baselines}
        store.write(f"evaluations/{run}/{step}.json", json.dumps(told))
    for name, seed in (("random_init", 0), ("20", 1), ("40", 2), ("60", 3)):
        album(dataset, seed).write(store.sub("runs", "first"), name)
    return store


def test_the_page_says_what_the_run_is_and_answers_its_questions(workspace: Store) -> None:
    html = render_run(workspace, "first")
    for text in (
        "ViT of 4 blocks, width 192, patch 16",
        "1.93 M parameters",
        "12.6 min",
        "480",
        "steps, finished",
        "40 % of the hardware",
    ):
        assert text in html
    assert "step 40</b>is the best: knn top1 0.620" in html
    assert "k-NN 0.620 [0.522, 0.709] at step 40; above untrained model (0.220) by 0.400 [0.2" in html
    assert "and raw pixels (0.410) by 0.210 [0.07" in html
    assert '<span class="tag kept">yes</span>' in html
    for text in ("Use of the hardware", "Waiting for data", "while training", "k 20, queries 100, image_size 64"):
        assert text in html
    assert f"dinoflow report {workspace.url}" in html
    assert len(html) < 5e6


def test_a_score_within_its_error_of_a_baseline_is_no_success(workspace: Store) -> None:
    scores = [score("knn", "top1", 0.43)]
    told = {"run": "first", "step": 40, "dataset": "tiny v0001", "scores": scores}
    baselines = {"random_init": [score("knn", "top1", 0.9)], "pixels": [score("knn", "top1", 0.41)]}
    workspace.write("evaluations/first/40.json", json.dumps({**told, "baselines": baselines}))
    html = render_run(workspace, "first")
    assert "level with raw pixels (0.410) by 0.020 [-0.1" in html
    assert "below untrained model (0.900) by -0.470 [-0.5" in html


def test_alarms_left_out_steps_and_a_collapse_are_told(workspace: Store) -> None:
    lines = [
        {"step": s, "loss": 1.0, "taken": s != 3, "teacher_effective_rank": 1.0, "data_wait": 0.5} for s in range(9)
    ]
    lines[5]["alarm"] = {"rank": "the features collapse <b>"}
    workspace.write("runs/first/metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    html = render_run(workspace, "first")
    assert "1 alarm, the last at step 5; 1 step left out" in html
    assert "features have collapsed: effective rank 1.0; 50% of the time went into waiting" in html
    assert "the features collapse &lt;b&gt;" in html


def test_pictures_of_the_best_checkpoint_stand_beside_others_and_the_untrained_model(workspace: Store) -> None:
    html = render_run(workspace, "first")
    assert html.count("data:image/png") == SUBJECTS * (4 + 1) + SUBJECTS * (2 + HEADS)
    for text in ("untrained", "step 20", "step 40, foreground alone", "head 2", "5 of 5 right"):
        assert text in html
    assert "no picture" not in html


def test_pictures_outlive_their_dataset_and_albums_of_other_images_are_left_out(workspace: Store) -> None:
    workspace.fs.rm(workspace.path("datasets"), recursive=True)
    html = render_run(workspace, "first")
    assert "no picture" in html
    assert html.count("data:image/png") == SUBJECTS * (4 + 1) + SUBJECTS * (2 + HEADS)


def test_other_runs_and_models_of_the_dataset_are_compared(workspace: Store) -> None:
    told = score("knn", "top1", 0.65)
    dino = {**told, "model": "dino", "set": "tiny v0001", "protocol": told["protocol"] | {"image_size": 224}}
    elsewhere = {**told, "model": "dino", "set": "birds", "value": 0.99}
    workspace.write("evaluations/models/abc.json", json.dumps({"results": [dino, elsewhere]}))
    table = render_run(workspace, "first").partition('id="others"')[2]
    assert 'dino<span class="hint">image_size 224</span>' in table
    assert "0.990" not in table
    assert (
        table.index("second")
        < table.index("dino")
        < table.index("first")
        < table.index("raw pixels")
        < table.index("untrained model")
    )
    assert '<b class="high">0.700</b>' in table


def test_without_labels_the_effective_rank_alone_is_told(workspace: Store) -> None:
    for step in (20, 40, 60):
        scores = [score("effective_rank", "rank", 31.0)]
        told = {"run": "first", "step": step, "dataset": "tiny v0001", "scores": scores, "baselines": {}}
        workspace.write(f"evaluations/first/{step}.json", json.dumps(told))
    assert "Without labels only the effective rank can be told: 31.0 at step 40" in render_run(workspace, "first")


@pytest.mark.parametrize("left", [["config.json"], ["config.json", "metrics.jsonl"], []])
def test_a_run_that_has_hardly_begun_has_a_page(workspace: Store, left: list[str]) -> None:
    for name in workspace.names("runs/first"):
        if name not in left:
            workspace.fs.rm(workspace.path("runs", "first", name), recursive=True)
    workspace.fs.rm(workspace.path("evaluations"), recursive=True)
    html = render_run(workspace, "first")
    assert "not finished" in html
    assert "No checkpoint has been scored" in html


def test_the_command_draws_every_page_and_the_workspace_links_to_them(workspace: Store) -> None:
    workspace.write("runs/<second>/metrics.jsonl", "")
    workspace.write("datasets/tiny/v0001/report.html", "drawn before")
    told = draw_reports(workspace.path())
    assert set(told["runs"]) == {"first", "<second>"}
    assert "<second>" not in workspace.read("runs/<second>/report.html").decode()
    html = workspace.read("report.html").decode()
    assert 'href="runs/first/report.html"' in html
    assert html == render_workspace(workspace)


def test_a_summary_answers_the_same_and_has_one_picture(workspace: Store) -> None:
    answers, sheet = summary(workspace, "first")
    assert answers[0] == ("Did it learn?", answers[0][1])
    assert answers[0][1].startswith("Yes. k-NN 0.620")
    assert sheet is not None
    assert sheet.startswith("data:image/jpeg;base64,")
    assert len(sheet) < 1_000_000


def test_a_length_in_epochs_is_told_in_the_steps_that_it_came_to(workspace: Store) -> None:
    config = json.loads(workspace.read("runs/first/config.json"))
    config["params"] |= {"optim": {"steps": "30 epochs", "batch_size": 8}, "start": "dinov2.safetensors"}
    config["resolved"] |= {"steps": 90}
    workspace.write("runs/first/config.json", json.dumps(config))
    workspace.fs.rm(workspace.path("runs/first/pretrain.json"))
    html = render_run(workspace, "first")
    assert "<b>60</b>of 90 steps, not finished" in html
    assert "from the weights of dinov2.safetensors" in html
