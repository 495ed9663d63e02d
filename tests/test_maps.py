"""What maps say is true: README's table of places, the maps of the packages, the files that any text names."""

import ast
import re
from pathlib import Path

import pytest

from tests.parsed import PACKAGES, ROOT, SOURCES, TREES

FILE = re.compile(r"(?<![\w/.<])[a-z]\w*\.py\b")
"""A file named in a text without its folder."""
ROOM = re.compile(r"(?<![\w/.<~])[a-z]\w*/(?![\w*])")
FOREIGN = {"image_property.py"}
"""Files of other libraries that a text refers to."""
PLACES = re.findall(r"^\| ([^|]+) \| `([\w/.]+)` \| `(\w+)` \|$", (ROOT / "README.md").read_text(), re.MULTILINE)


def test_the_table_of_places_answers_twenty_questions_and_more():
    assert len(PLACES) >= 20


@pytest.mark.parametrize(("question", "path", "name"), PLACES)
def test_what_the_table_of_places_names_is_defined_there(question, path, name):
    assert name in set(defined(TREES[path])), question


def defined(tree):
    """The names that a file defines at its top."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


@pytest.mark.parametrize("package", PACKAGES)
def test_the_map_of_a_package_names_every_room(package):
    text = ast.get_docstring(TREES[f"{package}/__init__.py"]) or ""
    rooms = {path.name + "/" * path.is_dir() for path in (ROOT / package).iterdir() if path.name[:2] != "__"}
    assert not {room for room in rooms - {"py.typed"} if room not in text}


def test_the_maps_of_all_packages_name_what_is_there():
    gone = {}
    for path, tree in TREES.items():
        if path.endswith("__init__.py"):
            text, folder = ast.get_docstring(tree) or "", (ROOT / path).parent
            named = {*FILE.findall(text), *ROOM.findall(text)}
            gone[path] = {name for name in named if not any(folder.rglob(name.rstrip("/")))}
    assert not {path: names for path, names in gone.items() if names}


def test_no_text_names_a_file_that_is_not_there():
    files = {path.name for path in SOURCES} | FOREIGN
    gone = {path: set(FILE.findall((ROOT / path).read_text())) - files for path in TREES}
    assert not {path: names for path, names in gone.items() if names}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "infra/README.md"])
def test_paths_on_the_pages_lead_somewhere(page):
    """Paths that begin with one of our folders, in code or in text."""
    text = (ROOT / page).read_text()
    paths = re.findall(rf"(?<![\w/.])(?:{'|'.join(PACKAGES)}|tests|infra)/[\w/.-]*\w", text)
    new = set(re.findall(r"# new: ([\w/.]+)", text))
    assert not {path for path in paths if not Path(ROOT, path).exists()} - new
