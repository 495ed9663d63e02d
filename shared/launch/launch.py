"""Starts a gang, alone or under torchrun, relays what it prints, and brings its files home."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any, TextIO

from shared.dataset_version import Published
from shared.errors import StoppedError, UserError, WorkFailedError
from shared.launch.mirror import mirrored
from shared.launch.progress import READER, Reporter, parse
from shared.launch.stop_signals import REQUEUE
from shared.launch.supervisor import GRACE_SECONDS
from shared.launch.worker import Job
from shared.params import Compute, Params, fingerprint
from shared.stage import Stage
from shared.storage import Store

PATIENT = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Idle threads sleep instead of spinning: beside another busy process a CPU step took 20 times as long without."""
THRIFTY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "MALLOC_TOP_PAD_": "268435456",
}
"""glibc keeps the memory of freed tensors: a tenth of a CPU step went into getting it from the kernel again."""
SYNC_LINES = 200
"""The log of a mirrored run is sent home after so many printed lines, and at the end."""

TAIL_LINES = 20
"""The end of the log that an error shows."""


def run_name(stage: Stage, params: Params, dataset: Published) -> str:
    """Name a run after what makes it: the dataset's content, whichever shards hold it, stage, params."""
    facts = [stage.name, stage.version, stage.identity(params), dataset.info["fingerprint"]]
    return f"{dataset.name}-{dataset.content_version}-{fingerprint(*facts)[:8]}"


def gang(
    stage: Stage,
    params: Params,
    dataset: Published,
    *,
    run: str,
    workspace: Store,
    compute: Compute,
    reporter: Reporter,
    niceness: int = 0,
    stop: Event | None = None,
) -> dict[str, Any]:
    """Run the stage in processes that start and stop together; return rank 0's result.

    `reporter` gets every printed line and every event. With niceness, up to 19, other processes go first; `stop`
    ends it early. Raises WorkFailedError with the end of the log when a process fails, StoppedError when the gang was
    asked to stop, UserError when the request was wrong.
    """
    with mirrored(workspace, run) as (home, send_logs):
        job = Job(
            stage=f"{stage.fn.__module__}:{stage.name}",
            params=params.model_dump(mode="json"),
            compute=compute,
            source=workspace.url if not workspace.local else str(home),
            dataset=dataset.name,
            version=dataset.version,
            workspace=str(home),
            run=run,
        )
        job.folder.mkdir(parents=True, exist_ok=True)
        for last_words in (job.mistake, job.stopped):
            last_words.unlink(missing_ok=True)
        path = job.folder / f"{stage.name}.job.json"
        path.write_text(job.model_dump_json(indent=1))
        command = _command(path, _processes(compute))
        code, tail = _watch(command, job.folder / f"{stage.name}.log", reporter, send_logs, niceness, stop)
        if code:
            _explain(stage.name, code, job, tail)
        result: dict[str, Any] = json.loads((job.folder / job.result).read_text())
        return result


def _processes(compute: Compute) -> str:
    """Return what torchrun takes: a number, or `gpu` for one process on each."""
    if compute.processes:
        return str(compute.processes)
    return "gpu" if compute.device != "cpu" and Path("/dev/nvidia0").exists() else "1"


def _command(job: Path, processes: str) -> list[str]:
    patience = ["--shutdown-timeout", f"{GRACE_SECONDS:.0f}"]
    torchrun = ["-m", "torch.distributed.run", "--standalone", *patience, "--nproc-per-node", processes]
    rank = ["-m", "shared.launch.worker", str(job)]
    return [sys.executable, *([] if processes == "1" else torchrun), *rank]


def _watch(
    command: list[str],
    log: Path,
    reporter: Reporter,
    send_logs: Callable[[], None],
    niceness: int,
    stop: Event | None,
) -> tuple[int, list[str]]:
    tail: list[str] = []
    supervised = [sys.executable, "-m", "shared.launch.supervisor", *command]
    with (
        log.open("a") as file,
        subprocess.Popen(
            supervised,
            env=PATIENT | THRIFTY | os.environ | {READER: "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            start_new_session=True,  # what kills our process group, or Ctrl-C, must leave it to end what it started
        ) as process,
    ):
        assert process.stdout is not None
        if niceness:  # of the supervisor, which has started nothing yet: what it starts inherits it
            os.setpriority(os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, 0) + niceness)
        if stop:
            Thread(target=_end_when_asked, args=(process, stop), daemon=True).start()
        try:
            for number, line in enumerate(process.stdout, 1):
                tail = [*tail, *_relay(line, file, reporter)][-TAIL_LINES:]
                if number % SYNC_LINES == 0:
                    send_logs()
            return process.wait(), tail
        finally:
            assert process.stdin is not None
            process.stdin.close()  # tells the supervisor, should we leave early
            try:
                process.wait()
            except KeyboardInterrupt:  # asked a second time
                process.terminate()
                raise


def _relay(line: str, log: TextIO, reporter: Reporter) -> list[str]:
    """Pass on what a line holds: events as events, and everything as text to the log; return the texts."""
    texts = []
    for part in parse(line):
        if isinstance(part, str):
            reporter.line(part)
        else:
            reporter.progress(part)
        texts.append(part if isinstance(part, str) else part.text)
    log.writelines(f"{text}\n" for text in texts)
    return texts


def _end_when_asked(process: subprocess.Popen[str], stop: Event) -> None:
    while process.poll() is None:
        if stop.wait(0.5):
            process.terminate()
            return


def _explain(stage: str, code: int, job: Job, tail: list[str]) -> None:
    if job.mistake.exists():
        raise UserError(job.mistake.read_text())
    if job.stopped.exists() or code in (REQUEUE, -signal.SIGTERM):
        raise StoppedError(
            f"{stage} was asked to stop. Run the same command again: it goes on from its last checkpoint."
        )
    raise WorkFailedError(
        f"{stage} failed (exit code {code}). The end of {job.folder / f'{stage}.log'}:\n" + "\n".join(tail)
    )
