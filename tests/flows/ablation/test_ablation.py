"""A whole ablation on generated pictures with planted copies, a dark class and a frequent one; tiny trainings."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import encoded, picture
from PIL import Image

from flows.ablation import run_ablation
from flows.ablation.results import write
from flows.ablation.text import lines, table
from flows.cli.app import finish
from flows.demo.corpus.copies import brightness, cropped, recompressed, resized
from flows.session import Session
from shared.dataset_version import open_version
from shared.errors import UserError, WorkFailedError
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.storage import Store

RECIPE = """
name: tiny
curation: {index: {part_images: 64}}
training:
  model: {patch_size: 8, width: 16, depth: 1, heads: 2, drop_path: 0.0}
  crops: {global_size: 16, local_size: 8, local_count: 1, shrink: 20}
  objective: {prototypes: 16, head_hidden: 16, bottleneck: 8, koleo_group: 4, teacher_temperature_steps: 2}
  optim: {steps: 6, batch_size: 4, warmup_steps: 2, precision: fp32, freeze_prototypes: 1}
evaluation: {evaluations: [{kind: knn}]}
compute: {workers: 1, device: cpu}
"""
VARY = (
    "curation.dedup=off",
    "curation.quality=off",
    "curation.balance=on",
    "curation.quality.rules=[{kind: too_large}]",
)


def corpus(root: Path) -> dict[str, str]:
    """Draw 260 pictures, 60 copies of some, and five dark ones; return what each copy is of, by file name."""
    copies, rng = {}, np.random.default_rng(0)
    for i in range(260):
        path = root / ("cats", "dogs", "cats", "birds")[i % 4] / f"{i:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(i)))
        for turn in range(3 if i < 20 else 0):
            make = (resized, recompressed, brightness)[turn] if i % 2 else (recompressed, cropped, resized)[turn]
            copy = path.with_name(f"{i:04d}-{turn}.jpg")
            copy.write_bytes(make(path.read_bytes(), rng))
            copies[copy.name] = path.name
    for i in range(5):
        dark = np.asarray(picture(900 + i)) // 12
        (root / "dogs" / f"dark{i}.jpg").write_bytes(encoded(Image.fromarray(dark)))
    return copies


class Trainer:
    """Does in this process what a gang does in its own, and counts; fails where `fails` says so."""

    def __init__(self) -> None:
        self.jobs: list[tuple[str, str]] = []
        self.fails: Callable[[str], bool] = lambda run: False

    def __call__(self, stage: Any, params: Any, dataset: Any, *, run: str, workspace: Store, **rest: Any) -> Any:
        self.jobs.append((stage.name, run))
        if stage.name == "pretrain" and self.fails(run):
            raise WorkFailedError("pretrain failed: no luck")
        home = Path(workspace.path())
        facts = stage(dataset, params=params, compute=rest["compute"], workspace=home, run=run)
        workspace.write(f"runs/{run}/{stage.name}.json", json.dumps(facts))
        return facts


class Ablating:
    """An ablation as the command does it, in this process."""

    def __init__(self, root: Path, trainer: Trainer, recipe: str = "tiny.yaml", **more: Any) -> None:
        settings = {"vary": VARY, "seeds": 2, "steps": 2, **more}
        self.request = run_ablation.Request(str(root / recipe), (), [str(root / "images")], None, **settings)
        self.store, self.trainer, self.lines_said = Store(str(root / "w")), trainer, []

    def say(self, text: str = "") -> None:
        self.lines_said.append(text)

    def open(self, recipe: Any) -> Session:
        return Session(recipe, self.store, Inline(), Silent())

    def run(self) -> dict[str, Any]:
        chosen, before = self.request.variants(), len(self.trainer.jobs)
        self.ablation = run_ablation.prepare(self.request, chosen, self.open, self)
        self.failed = run_ablation.train_all(self.ablation, self.open(chosen[0].recipe), lambda _, work: work(), self)
        self.jobs = self.trainer.jobs[before:]
        return write(self.ablation, self.failed)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("ablation")
    (root / "tiny.yaml").write_text(RECIPE)
    return root, corpus(root / "images")


@pytest.fixture(scope="module")
def trainer(drawn):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_ablation, "gang", trainer := Trainer())
        yield trainer


@pytest.fixture(scope="module")
def ablated(drawn, trainer):
    """The ablation whose second seed fails for one variant, then run again to the end."""
    first = Ablating(drawn[0], trainer)
    trainer.fails = lambda run: run.startswith("tiny-balance-on") and sum(r == run for _, r in trainer.jobs) == 1
    broken = first.run()
    trainer.fails = lambda run: False
    again = Ablating(drawn[0], trainer)
    return first, broken, again, again.run()


def test_a_failed_training_does_not_lose_the_others_and_is_all_that_is_done_again(ablated):
    _, broken, again, facts = ablated
    assert len(broken["failed"]) == 2
    assert "balance=on, seed 0" in broken["failed"][0]
    assert "no luck" in broken["failed"][0]
    done = {one["name"]: [run["done"] for run in one["runs"]] for one in broken["variants"]}
    assert done.pop("balance=on") == [False, False]
    assert all(all(runs) for runs in done.values())
    assert {run for _, run in again.jobs} == {run["run"] for run in facts["variants"][3]["runs"]}
    assert facts["failed"] == []
    with pytest.raises(WorkFailedError, match="Run the same command again for the rest:\nbalance=on, seed 0"):
        finish(False, lambda: broken)


def test_run_again_it_trains_nothing_and_more_seeds_add_to_what_is_there(ablated, drawn, trainer):
    *_, facts = ablated
    again = Ablating(drawn[0], trainer)
    assert again.run() == facts
    assert again.jobs == []
    more = Ablating(drawn[0], trainer, seeds=3)
    assert more.run()["name"] == facts["name"]
    trained = [run for stage, run in more.jobs if stage == "pretrain"]
    assert len(trained) == 4
    assert again.run()["name"] == facts["name"]


def test_all_variants_cost_the_same_and_start_from_the_same_seeds(ablated, drawn):
    *_, facts = ablated
    workspace = drawn[0] / "w"
    params_of = {}
    for one in facts["variants"]:
        for run in one["runs"]:
            params = json.loads((workspace / "runs" / run["run"] / "config.json").read_text())["params"]
            params_of.setdefault(run["seed"], []).append(params)
            assert json.loads((workspace / "runs" / run["run"] / "pretrain.json").read_text())["images_seen"] == 8
    assert {seed: params["seed"] for seed, [params, *_] in params_of.items()} == {0: 0, 1: 1}
    assert all(other == first for first, *others in params_of.values() for other in others)


def test_nobody_trains_on_a_query_or_on_a_copy_of_one(ablated, drawn):
    *_, facts = ablated
    root, copies = drawn
    original = lambda uri: copies.get(uri.rpartition("/")[2], uri.rpartition("/")[2])  # noqa: E731
    name, version = facts["questions"]["dataset"].split()
    questions = open_version(Store(str(root / "w")), name, version).table("manifest", ["image_id", "uri"]).to_pylist()
    asked = [row["uri"] for row in questions if int(row["image_id"][:8], 16) % 10 == 0]
    assert (len(asked), len(questions) - len(asked)) == (facts["questions"]["queries"], facts["questions"]["bank"])
    queries = {original(uri) for uri in asked}
    bank = {original(row["uri"]) for row in questions} - queries
    assert {f"{i:04d}.jpg" for i in range(20)} & queries, "no query has planted copies: the claim is empty"
    for one in facts["variants"]:
        dataset = open_version(Store(str(root / "w")), *one["dataset"].split())
        trained = {original(uri) for uri in dataset.table("manifest", ["uri"])["uri"].to_pylist()}
        assert not queries & trained
        assert bank <= trained
        dropped = dataset.table("dropped", ["reason", "kept_uri"]).to_pylist()
        originals = {original(row["kept_uri"]) for row in dropped if row["reason"] == "contaminated"}
        assert originals <= queries


def test_it_tells_what_each_variant_changed_and_who_keeps_the_same_images(ablated):
    *_, facts = ablated
    base, undeduplicated, unfiltered, balanced, other_rules = facts["variants"]
    assert undeduplicated["copies"] > 0.1
    assert base["copies"] == 0
    assert base["dropped"]["dark"] == 5
    assert "dark" not in unfiltered["dropped"]
    assert balanced["dropped"]["not_sampled"] > 50
    assert other_rules["same_images_as"] == "quality=off"
    assert other_rules["runs"] == unfiltered["runs"]
    for one in facts["variants"][1:]:
        compared = one["metrics"]["knn top1"]
        assert len(compared["scores"]) == 2
        difference = np.subtract(compared["scores"], base["metrics"]["knn top1"]["scores"])
        assert compared["difference"]["mean"] == pytest.approx(difference.mean())
        assert compared["p_holm"] >= compared["difference"]["p"]
        assert compared["verdict"] in ("helped", "hurt", "no difference seen")
    assert {"raw pixels", "untrained model"} == set(facts["baselines"])


def test_the_page_and_the_terminal_show_verdicts_and_error_bars(ablated, drawn):
    *_, facts = ablated
    page = (drawn[0] / "w/ablations" / facts["name"] / "report.html").read_text()
    assert page.count("<svg") == 2
    assert "trains on the same images as quality=off" in page
    assert "Holm" in page
    shown = lines(table(facts))
    assert shown[0].split() == ["variant", "trained", "on", "copies", "knn", "top1", "difference", "verdict"]
    assert [line.split()[0] for line in shown[1:6]] == [one["name"].split()[0] for one in facts["variants"]]


def test_one_seed_claims_nothing(ablated, drawn, trainer):
    facts = Ablating(drawn[0], trainer, seeds=1).run()
    assert all(one["metrics"]["knn top1"]["verdict"] == "not tested" for one in facts["variants"][1:])
    assert "one seed claims nothing" in " ".join(table(facts)[2])


def test_a_corpus_without_labels_or_too_small_is_refused_before_anything_is_published(drawn, trainer, tmp_path):
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    (tmp_path / "images").mkdir()
    for i in range(30):
        (tmp_path / "images" / f"{i}.jpg").write_bytes(encoded(picture(i)))
    with pytest.raises(UserError, match=r"needs labelled images to ask about: .* got 0 queries of 0 classes"):
        Ablating(tmp_path, trainer).run()
    assert not (tmp_path / "w/datasets").exists()


@pytest.mark.slow
def test_the_sets_of_the_recipe_are_asked_instead_where_it_names_others(drawn, trainer):
    root, _ = drawn
    for i in range(60):
        path = root / "exam" / ("train", "test")[i % 3 == 0] / ("cats", "dogs")[i % 2] / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(2000 + i)))
    sets = f"sets: [{{kind: folder, url: {root / 'exam'}, name: exam}}], evaluations:"
    (root / "other.yaml").write_text(RECIPE.replace("evaluations:", sets))
    other = Ablating(root, trainer, recipe="other.yaml", vary=["curation.dedup=off"])
    facts = other.run()
    assert (facts["verdict_on"], facts["protocol"]["queries"]) == ("knn top1 on exam", 20)
    assert facts["variants"][1]["metrics"]["knn top1 on exam"]["difference"]["pairs"] == 2
    assert not facts["questions"]["guarded"]
    assert all("contaminated" not in one["dropped"] for one in facts["variants"])
