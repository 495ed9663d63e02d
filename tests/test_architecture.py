"""Rules of the house that no linter knows."""

import ast
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("flows", "curation", "training", "shared")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("name", PACKAGES)
def test_no_other_distribution_installs_a_package_of_this_name(name):
    others = set(packages_distributions().get(name, [])) - {"dinoflow"}
    assert not others, f"{others} also install a package called {name!r}: uninstall them"


def test_exactly_one_faiss_is_installed():
    assert len(set(packages_distributions()["faiss"])) == 1


def test_files_are_small_and_say_what_they_are():
    lengths = sorted(len(path.read_text().splitlines()) for path in SOURCES)
    assert lengths[len(lengths) // 2] < 150
    assert lengths[-1] <= 250
    silent = [path for path in SOURCES if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text()))]
    assert not silent


def test_every_parameter_is_read_somewhere():
    """A key that nothing reads is a promise that nothing keeps."""
    trees = [ast.parse(path.read_text()) for path in SOURCES]
    read = {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    declared = {
        f"{cls.name}.{field.target.id}": field.target.id
        for tree in trees
        for cls in ast.walk(tree)
        if isinstance(cls, ast.ClassDef) and cls.name.endswith(("Params", "Compute", "Source", "Embedder", "Set"))
        for field in cls.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }
    tags = {name for name in declared if name.endswith(".kind")}
    stages = {name for name in declared if name.startswith("CurationParams.")}  # read by the name of the stage
    unread = {name for name, field in declared.items() if field not in read} - tags - stages
    assert not unread


def test_no_effects_at_import_beside_the_one_that_mends_torchvision():
    loud = [
        str(path)
        for path in SOURCES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.For | ast.While | ast.With)
        and path.name != "torchvision_cpu.py"
        and path.parent.name != "cli"
    ]
    assert not loud


def test_both_pins_of_torch_stay_a_pair():
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert "torch==2.13.0" in needs
    assert "torchvision==0.28.0" in needs
