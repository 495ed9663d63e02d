"""CONTRIBUTING is tried from the page alone: each thing is added to a copy of the code as written, its commands run."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import encoded, picture

import shared.images.torchvision_cpu  # noqa: F401  before timm, which imports torchvision

# isort: split
import timm

from tests.parsed import PACKAGES, ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text()
RECIPES = {
    part.partition("\n")[0]: part for part in PAGE.split("## Adding something")[1].split("\n## ")[0].split("\n### ")[1:]
}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXPECTED = {
    "A source": {"rows": 4},
    "A quality rule": {"rows": 4, "reasons": {"panorama": 1}},
    "An embedder": {"rows": 4},
    "An evaluation": {},
    "A stage": {"rows": 1},
}


def add(root: Path, recipe: str) -> list[str]:
    """Add a thing as its recipe says: whole new files, lines changed in old ones. The commands are returned."""
    commands = []
    for kind, text in BLOCK.findall(recipe):
        if kind == "":
            commands += text.splitlines()
            continue
        head, _, body = text.partition("\n")
        if kind == "python":
            new = root / head.removeprefix("# new: ")
            assert not new.exists()
            new.write_text(body)
        else:
            path = root / head.removeprefix("# ")
            for change in body.strip("\n").split("\n\n"):
                change_file(path, change.splitlines())
    return commands


def change_file(path: Path, lines: list[str]) -> None:
    """Change a file as a diff without line numbers says; its old lines, without ends, stand there once."""
    old = "\n".join(line[1:] for line in lines if line[:1] != "+")
    new = "\n".join(line[1:] for line in lines if line[:1] != "-")
    text = path.read_text()
    assert text.count(old) == 1, f"{path}: the page changes what stands there {text.count(old)} times: {old}"
    path.write_text(text.replace(old, new))


def test_the_page_has_a_recipe_for_each():
    assert RECIPES.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_added_as_the_page_says_works(name, tmp_path):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    pictures(tmp_path)
    if name == "An evaluation":
        torch.save(timm.create_model("vit_tiny_patch16_224").state_dict(), tmp_path / "tiny.pth")
    commands = add(tmp_path, RECIPES[name])
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    assert commands
    for command in commands:
        words = [sys.executable, "-m", "flows.cli", *shlex.split(command)[1:]]
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        facts = json.loads(done.stdout)
        assert EXPECTED[name].items() <= facts.items()
        if name == "An evaluation":
            assert '"evaluation": "nearest_mean", "metric": "top1"' in done.stdout


def pictures(root: Path) -> None:
    """What the page's commands speak of: photos with a list of them, and a labelled folder."""
    (root / "photos").mkdir()
    sizes = [(120, 90), (90, 120), (100, 100), (300, 100)]
    for i, size in enumerate(sizes):
        (root / "photos" / f"{i}.jpg").write_bytes(encoded(picture(i, size)))
    listed = [{"path": f"{i}.jpg", "label": "odd" if i % 2 else "even"} for i in range(4)]
    (root / "photos" / "list.jsonl").write_text("\n".join(map(json.dumps, listed)))
    for i in range(40):
        folder = root / "labelled" / ("cats", "dogs")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i}.jpg").write_bytes(encoded(picture(i)))
