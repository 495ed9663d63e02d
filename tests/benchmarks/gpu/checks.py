"""Runs the tests marked gpu one by one, with or without pytest, and prints a line for each as it ends.

    python tests/benchmarks/gpu/checks.py [--small] [--named PATTERN]

With `--small` they run on a CPU, with kernels that are traced but not made. The exit code tells how many failed.
"""

import argparse
import importlib
import re
import sys
import time
import traceback
import unittest
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

import torch

TESTS = ("tests.training.test_gpu", "tests.curation.dedup.test_gpu_products")


def marked(function: Callable[..., Any], names: list[str]) -> Callable[..., Any]:
    """Return a function with the name of a mark."""
    function.pytestmark = [*getattr(function, "pytestmark", []), *(SimpleNamespace(name=name) for name in names)]  # type: ignore[attr-defined]
    return function


def stand_in_for_pytest() -> None:
    """Put in place what the tests use of pytest, where it is absent: its marks."""
    module = ModuleType("pytest")
    module.mark = SimpleNamespace(  # type: ignore[attr-defined]
        gpu=partial(marked, names=["gpu"]), skipif=lambda *_, **__: partial(marked, names=["skipif"])
    )
    sys.modules["pytest"] = module


def outcome(check: Callable[[], None]) -> str:
    """Run one check and say how it ended."""
    try:
        check()
    except unittest.SkipTest as reason:
        return f"skipped: {reason}"
    except Exception as error:  # noqa: BLE001  one failure must not hide the rest
        traceback.print_exc()
        return f"FAILED: {type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
    return "passed"


def main() -> None:
    """Run them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="rehearse on a CPU")
    parser.add_argument("--named", default="", help="a pattern: only tests in whose name it is found")
    asked = parser.parse_args()
    if not (asked.small or torch.cuda.is_available()):
        sys.exit("There is no GPU here: nothing was checked. `--small` rehearses on the CPU.")
    if not torch.cuda.is_available():
        torch.compile = partial(torch.compile, backend="aot_eager")
    try:
        importlib.import_module("pytest")
    except ImportError:
        stand_in_for_pytest()
    print("| check | outcome | s |\n|---|---|--:|", flush=True)
    failed = 0
    for name, check in (each for tests in TESTS for each in vars(importlib.import_module(tests)).items()):
        of_gpu = name.startswith("test_") and any(mark.name == "gpu" for mark in getattr(check, "pytestmark", ()))
        if of_gpu and re.search(asked.named, name):
            begun = time.perf_counter()
            ended = outcome(check)
            failed += ended.startswith("FAILED")
            print(f"| {name[5:].replace('_', ' ')} | {ended} | {time.perf_counter() - begun:.1f} |", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
