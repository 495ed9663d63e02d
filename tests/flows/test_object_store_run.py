"""Training where the only disk is an object store: killed at any upload it goes on from what is there."""

import logging
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import Any

import fsspec
import pytest

from flows.commands.export import export_run
from flows.commands.replay import replay_step
from flows.pipeline import draw_run
from shared.dataset_version import Published, open_version
from shared.errors import WorkFailedError
from shared.launch.mirror import PREFIX, mirrored
from shared.params import Compute
from shared.storage import Store
from shared.storage.transfer import send
from tests.object_store import serving
from tests.training.publishing import invented, publish
from tests.training.tiny import tiny_training
from tests.waiting import LIMIT_SECONDS
from training.eval.params import EvaluateParams
from training.eval.protocols.knn import Knn
from training.params import PretrainParams
from training.runs import checkpoint
from training.runs.run_folder import RunFolder
from training.stages import evaluate, pretrain

pytest.importorskip("moto")
pytestmark = pytest.mark.slow
URL = "s3://images/w"
TINY = tiny_training(6, checkpoint_every=1, keep_checkpoints=2, knn_every=0)
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["training.loop.pretrain", "flows.commands.export"])


class Watched:
    """Tells the test of requests; what it is set to do, it does at most once."""

    def __init__(self) -> None:
        self.react: Callable[[str, str, bool], bool] = lambda method, path, done: False
        self.requests: list[tuple[str, str]] = []

    def __call__(self, method: str, path: str, done: bool) -> None:
        if done:
            self.requests.append((method, path))
        if self.react(method, path, done):
            self.react = lambda method, path, done: False


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    watch = Watched()
    with serving(watch) as settings, pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir("images")
        yield watch
        fsspec.filesystem("s3").clear_instance_cache()


@pytest.fixture(scope="module")
def dataset(watched: Watched, tmp_path_factory: pytest.TempPathFactory) -> Published:
    here = publish(tmp_path_factory.mktemp("here"), invented(60, classes=4))
    for path in sorted(Path(here.store.path()).rglob("*")):
        if path.is_file():
            send(Store(URL), path, f"datasets/tiny/v0001/{path.relative_to(here.store.path()).as_posix()}")
    return open_version(Store(URL), "tiny")


def trained(url: str, settings: dict[str, str]) -> None:
    """Train as a gang's only rank does, with an empty disk."""
    os.environ.update(settings)
    tempfile.tempdir = None  # as the environment says now
    store = Store(url)
    with mirrored(store, "run") as (home, _):
        given = {"params": PretrainParams.model_validate(TINY), "compute": Compute(device="cpu", workers=1)}
        pretrain(open_version(store, "tiny"), workspace=home, run="run", **given)


def killed_at(watched: Watched, method: str, ending: str, nth: int, done: bool) -> None:
    """Train in a process that is killed at the nth request of this kind, before it or after."""
    process = CONTEXT.Process(target=trained, args=(URL, dict(os.environ)))
    left = nth

    def react(asked: str, path: str, is_done: bool) -> bool:
        nonlocal left
        left -= (asked, is_done) == (method, done) and path.endswith(ending)
        if left == 0 and process.pid:
            os.kill(process.pid, signal.SIGKILL)
        return left == 0

    watched.react = react
    process.start()
    process.join(4 * LIMIT_SECONDS)
    code = process.exitcode
    process.kill()
    assert code == -signal.SIGKILL


def in_store() -> dict[str, list[str]]:
    store = Store(f"{URL}/runs/run/checkpoints")
    return {name: store.names(name) for name in store.names("")}


@pytest.fixture
def empty_disk() -> Iterator[None]:
    """A place of its own for temporary files, under a short name: sockets lie there too."""
    get_temp_dir()  # multiprocessing remembers its own: not one that is gone after the test
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        tempfile.tempdir = None
        yield
    tempfile.tempdir = None


def mirrors() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))


def weights(folder: RunFolder) -> dict[str, Any]:
    folder.state(6)
    return checkpoint.read(folder, 6)["teacher"]


def test_a_run_killed_at_an_upload_goes_on_from_the_store_alone(
    watched: Watched, dataset: Published, tmp_path: Path, empty_disk: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ["checkpoint.json", "state.pt"]
    killed_at(watched, "PUT", "step-00000003/state.pt", 1, done=True)
    assert in_store() == {"step-00000001": whole, "step-00000002": whole, "step-00000003": ["state.pt"]}  # not one yet
    assert len(mirrors()) == 1  # the killed one's
    begun = len(watched.requests)
    trained(URL, {})
    assert in_store() == {"step-00000005": whole, "step-00000006": whole}
    assert mirrors() == []
    sent = [path for method, path in watched.requests[begun:] if method == "PUT" and "/checkpoints/" in path]
    steps = [int(Path(path).parent.name[-1]) for path in sent]
    assert steps == [3, 3, 4, 4, 5, 5, 6, 6]  # steps 1 and 2 were not taken again
    monkeypatch.setattr("training.data.loader.start_method", lambda: "fork")  # on a disk
    first = publish(tmp_path, invented(60, classes=4))
    given = {"params": PretrainParams.model_validate(TINY), "compute": Compute(device="cpu", workers=1)}
    pretrain(first, workspace=tmp_path, run="run", **given)
    mine = weights(RunFolder(tmp_path / "runs/run"))
    stored = weights(RunFolder.of(tmp_path / "else", "run", Store(URL)))
    assert all(mine[name].equal(stored[name]) for name in mine)
    rows = Store(URL).read("runs/run/metrics.jsonl").splitlines()
    assert len(rows) == 6


def test_evaluate_report_export_and_replay_read_what_is_in_the_store(watched: Watched, dataset: Published) -> None:
    params = EvaluateParams(evaluations=(Knn(),), image_size=32, pictures=0, baselines=False)
    with mirrored(Store(URL), "run") as (home, _):
        result = evaluate(dataset, params=params, compute=Compute(device="cpu", workers=1), workspace=home, run="run")
    assert result["scored"] == [5, 6]
    assert Store(URL).names("evaluations/run") == ["5.json", "6.json"]
    assert draw_run(Store(URL), "run").endswith("runs/run/report.html")
    assert replay_step(URL, "run", 6, "cpu", as_json=True)["equal"]
    facts = export_run(URL, None, None, None, "timm", 0, True)
    assert facts["formats"]["timm"] == f"{URL}/runs/run/exports/step-{facts['step']}/timm"
    assert "model.safetensors" in Store(facts["formats"]["timm"]).names("")


def test_a_store_that_keeps_other_bytes_than_it_was_sent_is_found_out(
    dataset: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.storage.transfer.PAUSES", ())
    (tmp_path / "file").write_bytes(b"one")
    with pytest.raises(WorkFailedError, match=r"s3://images/w/file needs the bytes that were sent, got others back"):
        send(Store(URL), tmp_path / "file", "file", "0" * 64)
