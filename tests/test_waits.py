"""No test waits without limit: whatever it waits for, it gives up one day and says so."""

import ast
from collections.abc import Iterator

import pytest

from tests.parsed import ROOT

TESTS = [path for path in sorted((ROOT / "tests").rglob("*.py")) if "benchmarks" not in path.parts]
RUNS = {"run", "call", "check_call", "check_output"}
WAITS = {"wait", "communicate", "join", "urlopen", "result", "acquire", "get"}
"""Calls that may wait, where they are given neither an argument nor, for `urlopen`, a limit."""


def waits(tree: ast.Module) -> Iterator[str]:
    """What waits without limit in a file, as far as its text tells: line and reason."""
    for node in ast.walk(tree):
        if isinstance(node, ast.While) and endless(node):
            yield f"{node.lineno}: a loop without a deadline: use tests.waiting.until"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            limited = any(keyword.arg == "timeout" for keyword in node.keywords)
            owner, name = ast.unparse(node.func.value), node.func.attr
            if owner == "subprocess" and name in RUNS and not limited:
                yield f"{node.lineno}: subprocess.{name} without timeout"
            elif owner == "subprocess" and name == "Popen":
                yield f"{node.lineno}: a process that may outlive its test: use tests.waiting.started"
            elif name in WAITS and not limited and ((not node.args and not node.keywords) or name == "urlopen"):
                yield f"{node.lineno}: {name} without timeout"


def endless(loop: ast.While) -> bool:
    """Whether a loop waits for something outside (it sleeps, or asks an object again) and looks at no clock."""
    inside = [node for node in ast.walk(loop) if isinstance(node, ast.Attribute | ast.Name)]
    names = {node.attr if isinstance(node, ast.Attribute) else node.id for node in inside}
    asks = any(isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) for node in ast.walk(loop.test))
    forever = isinstance(loop.test, ast.Constant)
    return ("sleep" in names or asks or forever) and "monotonic" not in names


def test_no_test_waits_without_limit():
    found = {
        str(path.relative_to(ROOT)): complaints
        for path in TESTS
        if path.name != "waiting.py" and (complaints := list(waits(ast.parse(path.read_text()))))
    }
    assert not found, "\n".join(f"{path}:{line}" for path, complaints in found.items() for line in complaints)


@pytest.mark.parametrize(
    "text",
    [
        "while not path.exists():\n    time.sleep(1)",
        "while True:\n    again()",
        "while not ended.is_set():\n    work()",
        "subprocess.run(command, check=True)",
        "process = subprocess.Popen(command)",
        "process.wait()",
        "thread.join()",
        "urllib.request.urlopen(url)",
    ],
)
def test_a_wait_without_limit_is_seen(text):
    assert list(waits(ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        "while time.monotonic() < deadline:\n    time.sleep(1)",
        "while left and smallest(left) < 0.05:\n    left.pop()",
        "subprocess.run(command, timeout=60)",
        "process.wait(20)",
        "','.join(words)",
        "facts.get('name')",
        "urllib.request.urlopen(url, timeout=1)",
    ],
)
def test_what_ends_is_let_be(text):
    assert not list(waits(ast.parse(text)))
