"""The flow that tidies up, without a server: it says what would go, what is deleted, and that nothing is left."""

import os
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from flows.orchestration import gc_flow


def test_tidying_up_tells_what_it_would_delete_and_deletes_when_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unused = tmp_path / "stages/quality/unused.parquet"
    unused.parent.mkdir(parents=True)
    unused.write_bytes(b"x" * 1000)
    os.utime(unused, (time.time() - 7200,) * 2)
    pages = Mock()
    for name in ("begin_run", "get_run_logger"):
        monkeypatch.setattr(gc_flow, name, Mock())
    monkeypatch.setattr(gc_flow, "create_markdown_artifact", pages)

    def said(**parameters: Any) -> tuple[Any, str]:
        end = gc_flow.gc.fn(workspace=str(tmp_path), hours=1, **parameters)
        return getattr(end, "name", "Completed"), pages.call_args.kwargs["description"]

    assert said() == ("Completed", "1,000 bytes in 1 files could be deleted")
    assert unused.exists()
    assert "Set `delete` to have it done." in pages.call_args.args[0]
    assert said(delete=True) == ("Completed", "1,000 bytes in 1 files deleted")
    assert not unused.exists()
    assert said() == ("Nothing new", "0 bytes in 0 files could be deleted")
