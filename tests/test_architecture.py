"""Rules of the house that no linter knows. Which room may import which stands in pyproject.toml, as contracts."""

import ast
import re
import tomllib
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions

import pytest

from tests.parsed import IMPORTS, PACKAGES, ROOT, SOURCES, TREES, classes, functions

FIELD_WORDS = {
    "global crop": "training/data",
    "local crop": "training/data",
    "mask": "training/data",
    "EMA": "training/model",
    "stochastic depth": "training/model",
    "drop_path": "training/model",
    "iBOT": "training/loss",
    "Sinkhorn-Knopp": "training/loss",
    "gradient accumulation": "training/loop",
}
"""What someone who knows the field searches for → the room where it happens."""
MISTAKES = {"UserError", "WorkFailedError", "UnreadableError"}
"""The roots of all errors that a person reads."""


@pytest.mark.parametrize("name", PACKAGES)
def test_no_other_distribution_installs_a_package_of_this_name(name):
    others = set(packages_distributions().get(name, [])) - {"dinoflow"}
    assert not others, f"{others} also install a package called {name!r}: uninstall them"


def test_exactly_one_faiss_is_installed():
    assert len(set(packages_distributions()["faiss"])) == 1


def test_files_are_small_and_say_what_they_are():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SOURCES}
    assert sorted(lengths.values())[len(lengths) // 2] < 100
    assert not {path: lines for path, lines in lengths.items() if lines > 230}
    assert not [path for path, tree in TREES.items() if lengths[path] and not ast.get_docstring(tree)]


def test_functions_fit_on_a_screen():
    """What stands below the docstring."""
    long = {}
    for path, function in functions():
        first = function.body[1 if ast.get_docstring(function) and len(function.body) > 1 else 0]
        long[f"{path}:{function.name}"] = (function.end_lineno or 0) - first.lineno + 1
    assert not {name: lines for name, lines in long.items() if lines > 40}


def test_no_module_leads_back_to_itself_whatever_it_imports_late():
    assert circle(IMPORTS) == []


def test_no_two_rooms_of_a_house_need_each_other():
    """At every depth: a package and its subpackages, and what lies beside them."""
    houses = {name.rpartition(".")[0] for name in IMPORTS if "." in name}
    circles = {house: circle(between_rooms(house)) for house in houses}
    assert not {house: found for house, found in circles.items() if found}


def between_rooms(house: str) -> dict[str, set[str]]:
    arrows: dict[str, set[str]] = defaultdict(set)
    inside, depth = f"{house}.", house.count(".") + 1
    for name, others in IMPORTS.items():
        if name.startswith(inside):
            rooms = {other.split(".")[depth] for other in others if other.startswith(inside)}
            arrows[name.split(".")[depth]] |= rooms - {name.split(".")[depth]}
    return arrows


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Some way from a node back to itself, or none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_shows_at_most_a_dozen_rooms(package):
    entries = {path.name for path in (ROOT / package).iterdir() if not path.name.startswith("__")} - {"py.typed"}
    assert len(entries) <= 12, sorted(entries)


def test_the_name_of_a_type_has_one_meaning():
    """Classes, and aliases at the top of a file; the same alias may stand in two files."""
    meanings: dict[str, set[str]] = defaultdict(set)
    for path, tree in TREES.items():
        for_types = [node for guard in tree.body if isinstance(guard, ast.If) for node in guard.body]
        for node in [*tree.body, *for_types]:
            if isinstance(node, ast.ClassDef):
                meanings[node.name].add(path)
            elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
                for target in [node.target] if isinstance(node, ast.AnnAssign) else node.targets:
                    if isinstance(target, ast.Name) and re.fullmatch(r"([A-Z][a-z0-9]+)+", target.id):
                        meanings[target.id].add(ast.unparse(node.value))
    double = {name: sorted(found) for name, found in meanings.items() if len(found) > 1}
    assert not double, "\n".join(f"{name}: {' | '.join(found)}" for name, found in sorted(double.items()))


def test_the_words_of_the_field_are_found_where_they_happen():
    """In the files that do it; the map in a room's __init__ does not count."""
    missing = {}
    for word, room in FIELD_WORDS.items():
        files = [path for path in (ROOT / room).glob("*.py") if path.name != "__init__.py"]
        if not any(re.search(rf"\b{word}s?\b", path.read_text(), re.IGNORECASE) for path in files):
            missing[word] = room
    assert not missing


def test_errors_name_the_value_that_was_given():
    """Four in five at least; the rest are about something that is missing."""
    family = set(MISTAKES)
    for _ in range(5):  # as deep as no one will derive
        family |= {cls.name for _, cls in classes() if {getattr(base, "id", "") for base in cls.bases} & family}
    raised = [
        (f"{path}:{node.lineno}", node.exc)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
        if getattr(node.exc.func, "id", "") in family
    ]
    silent = [where for where, call in raised if all(isinstance(text, ast.Constant) for text in call.args)]
    assert len(raised) > 100
    assert len(silent) <= 0.2 * len(raised), silent


def test_every_parameter_is_read_somewhere():
    """A key that nothing reads is a promise that nothing keeps."""
    read = {node.attr for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    declared = {
        f"{cls.name}.{field.target.id}": field.target.id
        for _, cls in classes()
        if cls.name.endswith(("Params", "Compute", "Source", "Embedder", "Set"))
        for field in cls.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }
    tags = {name for name in declared if name.endswith(".kind")}
    stages = {name for name in declared if name.startswith("CurationParams.")}  # read by the name of the stage
    unread = {name for name, field in declared.items() if field not in read} - tags - stages
    assert not unread


def test_no_effects_at_import_beside_the_one_that_mends_torchvision():
    loud = [
        path
        for path, tree in TREES.items()
        for node in tree.body
        if isinstance(node, ast.For | ast.While | ast.With)
        and not path.endswith("/torchvision_cpu.py")
        and not path.startswith("flows/cli/")
    ]
    assert not loud


def test_both_pins_of_torch_stay_a_pair():
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert "torch==2.13.0" in needs
    assert "torchvision==0.28.0" in needs
