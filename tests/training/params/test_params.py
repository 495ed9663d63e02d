"""Architecture: no setting without a reader, fast stages, help for every field."""

import ast
import subprocess
import sys
from pathlib import Path

from pydantic import BaseModel

import training
from shared.params import models_in
from training.eval.params import EvaluateParams
from training.params import PretrainParams

FOLDER = Path(training.__file__).parent


def fields(model: type[BaseModel]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name, field in model.model_fields.items():
        found[name] = field.description
        for inner in models_in(field.annotation):
            found |= fields(inner)
    return found


def working(path: Path) -> list[ast.AST]:
    """Return what does something with settings: all of a file, but only the properties where they are declared."""
    tree = ast.parse(path.read_text())
    if path.name != "params.py" and path.parent.name != "params":
        return [tree]
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [f for f in functions if any(isinstance(d, ast.Name) and d.id == "property" for d in f.decorator_list)]


def test_every_setting_is_read_by_more_than_its_validation() -> None:
    read = {
        node.attr
        for path in FOLDER.rglob("*.py")
        for part in working(path)
        for node in ast.walk(part)
        if isinstance(node, ast.Attribute)
    }
    assert sorted((fields(PretrainParams) | fields(EvaluateParams)).keys() - read) == []


def test_every_setting_has_a_help_text() -> None:
    missing = [name for name, text in (fields(PretrainParams) | fields(EvaluateParams)).items() if not text]
    assert missing == []


def test_the_stages_can_be_declared_without_importing_torch() -> None:
    code = "import sys, training.stages; sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
