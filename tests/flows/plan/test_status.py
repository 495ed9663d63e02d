"""A status says what a run would do, and why; and a run then does just that."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import encoded, picture

from curation.params import CurationParams
from curation.sources import FolderSource
from curation.stages import STAGES
from flows import pipeline
from flows.commands.status import lines
from flows.plan.causes import causes
from flows.plan.status import Status, facts, status
from flows.recipe.recipe import Recipe
from flows.session import Session
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.params import NOTHING, Resources
from shared.storage import Store
from shared.tables import newest_manifest
from training.eval.params import score_fingerprint
from training.runs.scores import ScoreFolder
from training.stages import evaluate

Open = Callable[..., Session]


class Counting(Inline):
    """Counts the pieces of work of each stage."""

    def __init__(self) -> None:
        self.made: dict[str, int] = {}

    def map(self, fn: Any, items: Any, label: str, needs: Resources = NOTHING) -> Any:
        self.made[label] = self.made.get(label, 0) + len(items)
        return super().map(fn, items, label)


@pytest.fixture
def opened(photos: Callable[..., Path], tmp_path: Path) -> Open:
    """Return what opens a session on 40 photographs in parts of 16, with changes to the curation."""
    root = photos(40)
    small = {"index": {"part_images": 16}, "pack": {"shard_images": 16}}

    def session(**curation: Any) -> Session:
        params = CurationParams.model_validate(small | curation)
        recipe = Recipe(name="pets", sources=(FolderSource(url=str(root)),), curation=params)
        return Session(recipe, Store(str(tmp_path / "w")), Counting(), Silent())

    return session


def why(found: Status) -> dict[str, list[str]]:
    return {one.forecast.stage.name: one.why for one in found.stages if one.why}


def test_a_new_workspace_has_made_nothing_and_a_status_makes_nothing_but_the_listing(
    opened: Open, tmp_path: Path
) -> None:
    found = status(opened())
    assert set(why(found)) == {"measure", "quality", "candidates", "verify", "dedup", "select", "pack"}
    assert all(causes == ["never made"] for causes in why(found).values())
    assert found.dataset is None
    assert found.finished is None
    assert [path.name for path in (tmp_path / "w/stages").iterdir()] == ["index"]


def test_after_curation_every_stage_is_done_and_the_run_is_to_begin(opened: Open) -> None:
    pipeline.curate(opened())
    found = status(opened())
    assert why(found) == {}
    assert found.dataset is not None
    assert (found.dataset.version, found.finished) == ("v0001", None)
    assert found.training is not None
    assert (found.training.step, found.training.done) == (0, False)
    assert "pretrain           would run: 125,000 steps, never begun" in list(lines(found))


def test_a_changed_parameter_is_named_with_both_values_and_what_follows_from_it(opened: Open) -> None:
    pipeline.curate(opened())
    found = status(opened(quality={"rules": [{"kind": "blurry", "threshold": 0.2}]}))
    causes = why(found)
    assert "curation.quality.rules.blurry.threshold was 0.29, now 0.2" in causes["quality"]
    assert causes["select"] == ["quality would run", "dedup may run"]
    assert "measure" not in causes


def test_new_gone_and_changed_files_are_counted_and_only_their_parts_would_be_made(
    opened: Open, tmp_path: Path
) -> None:
    pipeline.curate(opened())
    folder = tmp_path / "photos" / "dogs"
    (folder / "9998.jpg").write_bytes(encoded(picture(98)))
    (folder / "9999.jpg").write_bytes(encoded(picture(99)))
    (folder / "0039.jpg").unlink()
    (folder / "0037.jpg").write_bytes(encoded(picture(97)))
    for _ in range(2):  # a status that lists the sources does not forget what they were
        found = status(opened())
        measure = next(one for one in found.stages if one.forecast.stage.name == "measure")
        assert measure.why == ["index: 2 files new, 1 files gone, 1 files changed"]
        assert 0 < (measure.forecast.missing or 0) < (measure.forecast.parts or 0)


def test_a_run_makes_just_the_parts_that_a_status_foretold(opened: Open, tmp_path: Path) -> None:
    pipeline.curate(opened())
    (tmp_path / "photos/dogs/9999.jpg").write_bytes(encoded(picture(99)))
    session = opened()
    foretold = session.forecast()
    made = {stage.name: session.make(stage) for stage in STAGES}
    for name, one in foretold.items():
        assert isinstance(session.executor, Counting)
        count = session.executor.made.get(name, 0) if name != "index" else 0
        if one.stage.shape == "rounds":  # one piece of work to foretell, whatever it sends out
            count = int(any(label.startswith(f"{name}: ") for label in session.executor.made))
        if one.missing is not None:
            assert one.missing == count if one.sure else one.missing >= count, name
        if one.output is not None:
            pairs = zip(one.output.parts, made[name].parts, strict=True)
            assert all(said.name in ("", part.name) and said.rows == part.rows for said, part in pairs)
    assert (foretold["measure"].missing, foretold["quality"].missing, foretold["select"].missing) == (1, 1, None)
    assert [name for name, one in foretold.items() if not one.sure] == [
        "quality", "candidates", "verify", "dedup", "select", "pack"
    ]  # fmt: skip


def test_what_reads_touched_files_alone_may_run_and_is_done_once_they_are_measured(
    opened: Open, tmp_path: Path
) -> None:
    pipeline.curate(opened())
    for path in (tmp_path / "photos").rglob("*.jpg"):  # a listing is in the order of time: each a minute later
        os.utime(path, (1, path.stat().st_mtime + 60))
    found = status(opened())
    count = found.stages[0].forecast.parts
    told = [line for line in lines(found) if " run" in line and "pretrain" not in line and "evaluate" not in line]
    assert told[0].split(maxsplit=1) == ["measure", f"would run: {count} of {count} parts to make"]
    assert told[1:3] == [
        f"{'quality':<18} may run: at most {count} of {count} parts to make",
        f"{'':<18} measure would run",
    ]
    assert why(found)["pack"] == ["measure would run", "select may run"]
    session = opened()
    session.make(next(stage for stage in STAGES if stage.name == "pack"))
    assert isinstance(session.executor, Counting)
    assert set(session.executor.made) == {"index", "measure"}
    assert why(status(opened())) == {}


def test_a_raised_version_and_a_lost_part_are_causes_too(opened: Open, tmp_path: Path) -> None:
    pipeline.curate(opened())
    store = Store(str(tmp_path / "w"))
    forecasts, newest = opened().forecast(), newest_manifest(store, "quality")
    assert newest is not None
    assert "version of quality was 1, now 2" in causes(forecasts["quality"], newest | {"version": 1}, forecasts, store)
    next((tmp_path / "w/stages/quality").glob("*.parquet")).unlink()
    found = status(opened())
    quality = next(one for one in found.stages if one.forecast.stage.name == "quality")
    assert (quality.forecast.missing, quality.why) == (1, ["its output, or parts of it, are gone"])


def test_checkpoints_without_scores_are_told_and_a_scored_run_is_finished(opened: Open, tmp_path: Path) -> None:
    dataset, _ = pipeline.curate(opened())
    session = opened()
    run = pipeline.run_of(session, dataset)
    folder = tmp_path / "w/runs" / run / "checkpoints"
    for step, summary in ((10, None), (20, {"steps": 20})):
        (folder / f"step-{step:08d}").mkdir(parents=True)
        (folder / f"step-{step:08d}" / "state.pt").write_bytes(b"weights")
        about = {"summary": summary, "sha256": hashlib.sha256(b"weights").hexdigest()}
        (folder / f"step-{step:08d}" / "checkpoint.json").write_text(json.dumps(about))
    (folder.parent / "config.json").write_text(json.dumps({"params": {}, "resolved": {"steps": 20}}))
    scores = ScoreFolder(tmp_path / "w", run, score_fingerprint(evaluate.version, session.recipe.evaluation, dataset))
    scores.write(10, {"dataset": "pets v0001", "scores": [], "baselines": {}})
    found = status(session)
    assert found.training is not None
    assert (found.training.done, found.training.step, found.training.steps) == (True, 20, 20)
    assert (found.training.unscored, found.finished) == ([20], None)
    assert "evaluate           would score 1 checkpoints: step 20" in list(lines(found))
    scores.write(20, {"dataset": "pets v0001", "scores": [], "baselines": {}})
    assert status(session).finished == (dataset, run)


def test_a_status_is_one_json_object(opened: Open) -> None:
    told = json.loads(json.dumps(facts(status(opened()))))
    assert [one["stage"] for one in told["stages"]] == [stage.name for stage in STAGES]
    measure = next(one for one in told["stages"] if one["stage"] == "measure")
    assert measure["parts"] == measure["parts_to_make"] > 1
    assert (measure["done"], measure["why"]) == (False, ["never made"])
    assert (told["published"], told["pretrain"], told["finished"]) == (None, None, False)


def test_of_a_stage_whose_newest_seal_is_damaged_nothing_is_said_for_certain(opened: Open, tmp_path: Path) -> None:
    pipeline.curate(opened())
    seal = max((tmp_path / "w/stages/quality").glob("*.json"), key=lambda path: path.stat().st_mtime)
    seal.write_text("{")
    (tmp_path / "photos/new.jpg").write_bytes(encoded(picture(99, (80, 60))))
    quality = next(one.forecast for one in status(opened()).stages if one.forecast.stage.name == "quality")
    assert not quality.done
    assert not quality.sure
