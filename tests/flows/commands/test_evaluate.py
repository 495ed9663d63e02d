"""`dinoflow evaluate --model … --data …` as a person meets it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import save_file

from flows.commands.evaluate import _names, evaluate_models
from flows.recipe.options import Options
from shared.errors import UserError
from tests.training.eval.sets.drawn import class_folders, draw
from tests.training.vits import in_dinov2_layout, invented_weights

ROOT = Path(__file__).parents[3]


@pytest.fixture
def files(tmp_path):
    save_file(in_dinov2_layout(invented_weights()), tmp_path / "dino.safetensors")
    class_folders(tmp_path / "pets" / "train", 6)
    class_folders(tmp_path / "pets" / "test", 3, first=500)
    for seed, name in enumerate("abc"):
        draw(tmp_path / "twins" / f"{name}.jpg", seed)
    (tmp_path / "twins" / "pairs.csv").write_text("a,b,relation\na.jpg,b.jpg,copy\n")
    return tmp_path


def test_models_and_sets_stand_in_one_table_and_in_a_file(files, capsys):
    options = Options(
        workspace=str(files / "work"),
        settings=("evaluation.evaluations=[effective_rank, copy_detection]", "compute.device=cpu"),
    )
    given = [str(files / name) for name in ("dino.safetensors", "pets", "twins")]
    told = evaluate_models(None, given[:1], given[1:], options)
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert [line.split() for line in lines if line.startswith(("pets ", "twins "))] == [
        ["pets", "dino", "pixels"],
        ["twins", "dino", "pixels"],
    ]
    assert any(line.split()[:2] == ["effective_rank", "rank"] and len(line.split()) == 4 for line in lines)
    assert "dino: images of 32 pixels, positions as trained" in lines
    assert "pets: copy_detection was left out: it needs copies" in printed
    (path,) = (files / "work" / "evaluations" / "models").glob("*.json")
    assert printed.strip().endswith(str(path))
    facts = json.loads(path.read_text())
    assert {row["set"] for row in facts["results"]} == {"pets", "twins"}
    assert facts["models"][0]["opened"] == given[0]
    assert {row["protocol"]["image_size"] for row in facts["results"]} == {32}  # the model's own: no recipe was named
    assert told["results"] == facts["results"]


def test_the_command_prints_one_object_and_takes_a_set_as_in_a_recipe(files):
    names = [
        f"pets/{split}/{kind}/00{n}.jpg" for split in ("train", "test") for kind in ("cats", "dogs") for n in "012"
    ]
    rows = [f"{name},{name.split('/')[2]},{name.split('/')[1]}" for name in names]
    (files / "list.csv").write_text("\n".join(["file,kind,part", *rows]))
    given = f"{{kind: manifest, url: {files / 'list.csv'}, path: file, label: kind, split: part}}"
    command = [
        *(sys.executable, "-m", "flows.cli", "evaluate", "--model", files / "dino.safetensors", "--data", given),
        *("--workspace", files / "work", "--json", "--set", "evaluation.evaluations=[{kind: knn, k: 3, also: []}]"),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    facts = json.loads(told.stdout)
    assert [row["protocol"]["queries"] for row in facts["results"]] == [6, 6]
    assert json.loads(Path(facts["path"]).read_text())["results"] == facts["results"]


@pytest.mark.parametrize(
    ("models", "data", "complaint"),
    [
        ([], ["pets"], "needs a model to score, got none. Name one with --model"),
        (["nowhere"], ["pets"], "nowhere is no file, folder, run or name of timm's"),
        (["dino.safetensors"], ["nowhere"], "nowhere, where there is nothing"),
        (["dino.safetensors"], ["{kind: folder, uri: x}"], "uri: there is no such key. Did you mean 'url'?"),
        (
            ["dino.safetensors"],
            ["{kind: folder, url: /nowhere}"],
            "got /nowhere, where there is nothing",
        ),
        (["dino.safetensors"], [], "is not published"),
    ],
)
def test_a_wrong_request_says_what_is_wrong(models, data, complaint, files):
    given = [[text if "{" in text else str(files / text) for text in texts] for texts in (models, data)]
    with pytest.raises(UserError) as told:
        evaluate_models(None, *given, Options(workspace=str(files / "work")))
    assert complaint in str(told.value)


def test_short_names_tell_models_apart():
    assert _names(["a/run@3", "b.safetensors", "resnet18=x/y.pth"]) == {
        "run@3": "a/run@3",
        "b": "b.safetensors",
        "resnet18": "resnet18=x/y.pth",
    }
    assert set(_names(["a/m.pth", "b/m.pth"])) == {"a/m.pth", "b/m.pth"}
