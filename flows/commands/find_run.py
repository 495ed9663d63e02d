"""The run that someone names: in a workspace on a disk or in an object store, by name or folder, or the newest one."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import WorkspaceError
from shared.storage import Store
from shared.storage.credentials import withheld
from shared.storage.transfer import bring, send
from training.runs.run_folder import RunFolder

NEEDED = ("config.json", "metrics.jsonl", "best.json")
"""What is read of a run beside its checkpoints."""


@contextmanager
def found_run(workspace: str, run: str | None) -> Iterator[RunFolder]:
    """Give a run by its folder or its name, or the one that was written last.

    Of one in an object store a copy of what is needed; what is written into that is sent there at the end.
    """
    elsewhere = "://" in (run or "") or ("://" in workspace and not (run and Path(run).is_dir()))
    if not elsewhere:
        yield _on_disk(workspace, run)
        return
    store, name = _in_store(withheld(workspace), withheld(run) if run else None)
    with tempfile.TemporaryDirectory(prefix="dinoflow-") as home:
        folder = RunFolder.of(Path(home), name, store)
        for file in NEEDED + tuple(f"frozen/{one}" for one in store.names(f"runs/{name}/frozen")):
            if store.exists(f"runs/{name}/{file}"):
                folder.bring(file)
        for scores in store.names(f"evaluations/{name}"):
            bring(store, f"evaluations/{name}/{scores}", Path(home, "evaluations", name, scores))
        brought = _files(folder.path)
        yield folder
        for path in sorted(_files(folder.path) - brought):
            if "checkpoints" not in path.relative_to(home).parts:
                send(store, path, path.relative_to(home).as_posix())


def where(folder: RunFolder, path: str) -> str:
    """Return where a file of a run is for whoever asked: of one in an object store its URL there."""
    if folder.home and Path(path).is_relative_to(folder.path):
        return f"{folder.home.url}/{Path(path).relative_to(folder.path).as_posix()}"
    return path


def _on_disk(workspace: str, run: str | None) -> RunFolder:
    runs = Path(workspace).absolute() / "runs"
    trained = sorted(path for path in runs.glob("*") if RunFolder(path).steps())
    if run is None:
        if not trained:
            raise WorkspaceError(f"There is no run with a checkpoint in {workspace}. Run `dinoflow pretrain` first.")
        return RunFolder(max(trained, key=lambda path: (path / "checkpoints").stat().st_mtime_ns))
    for path in (runs / run, Path(run).absolute()):
        if RunFolder(path).steps():
            return RunFolder(path)
    raise _unknown(run, workspace, [path.name for path in trained])


def _in_store(workspace: str, run: str | None) -> tuple[Store, str]:
    """Return the workspace and the name of the run; a folder of a run says both."""
    if run and "://" in run:
        url, _, run = run.rstrip("/").rpartition("/")
        workspace = url.removesuffix("/runs")
    store = Store(workspace.rstrip("/"))
    trained = [name for name in store.names("runs") if store.names(f"runs/{name}/checkpoints")]
    if run is None and trained:
        return store, max(trained, key=lambda name: str(store.fs.modified(store.path("runs", name, NEEDED[1]))))
    if run is None or run not in trained:
        raise _unknown(run or "", store.url, trained)
    return store, run


def _unknown(run: str, workspace: str, trained: list[str]) -> WorkspaceError:
    named = ", ".join(trained) or "none"
    return WorkspaceError(f"There is no run {run} with a checkpoint. Runs in {workspace}: {named}.")


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}
