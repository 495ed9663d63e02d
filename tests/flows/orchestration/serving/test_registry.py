"""A file of deployments is checked before anything starts, and means the same wherever the worker was started."""

from pathlib import Path

import pytest

from flows.orchestration.serving.registry import CATCH_UP, read_registry
from shared.errors import RecipeError


def written(folder: Path, text: str) -> Path:
    file = folder / "dinoflow.yaml"
    file.write_text(text)
    return file


def test_paths_are_seen_from_the_file_and_urls_stay(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: birds\n")
    (tmp_path / "photos").mkdir()
    entry = "{name: nightly, does: curate, recipe: mine.yaml, sources: [photos], cron: '0 2 * * *'}"
    far = "{name: far, does: evaluate, recipe: demo, workspace: 's3://b/w'}"
    registry = read_registry(written(tmp_path, f"workspace: w\ndeployments: [{entry}, {far}]"))
    nightly, away = registry.deployments
    assert nightly.recipe == str(tmp_path / "mine.yaml")
    assert nightly.workspace == str(tmp_path / "w")
    assert nightly.sources == (str(tmp_path / "photos"),)
    assert away.workspace == "s3://b/w"


def test_a_training_that_follows_publishing_also_catches_up_every_night(tmp_path: Path) -> None:
    entries = "[{name: train, does: pretrain, recipe: demo, after_publish: true}]"
    assert read_registry(written(tmp_path, f"deployments: {entries}")).deployments[0].cron == CATCH_UP


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ("{name: n, does: curate, recipe: laptop, cron: '0 2 * * *'}", "n runs by itself and needs images"),
        ("{name: n, does: curate, sources: [gone]}", "n: The source .*gone does not exist"),
        ("{name: n, does: curate, recipe: nowhere.yaml}", "There is no recipe"),
        ("{name: n, does: pretrain, settings: [training.optim.step=3]}", "optim.step: there is no such key"),
        ("{name: n, does: run, timezone: Mars/Olympus}", "timezone must be a name such as Europe/Berlin"),
        ("{name: n, does: curate, after_publish: true}", "after_publish needs does: pretrain"),
        ("{name: n, does: curate, delete: true}", "delete and hours need does: gc"),
        ("{name: n, does: gc, hours: 0}", "hours"),
        ("{name: n, does: run}, {name: n, does: curate}", "a name of its own, got n"),
        ("{name: n, does: bake}", "deployments.0.does"),
    ],
)
def test_what_could_not_be_done_is_refused_before_a_server_starts(tmp_path: Path, entries: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        read_registry(written(tmp_path, f"deployments: [{entries}]"))


def test_a_file_that_is_not_there_or_no_yaml_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"can be read, got .*gone\.yaml"):
        read_registry(tmp_path / "gone.yaml")
    with pytest.raises(RecipeError, match="not valid YAML"):
        read_registry(written(tmp_path, "deployments: ["))
