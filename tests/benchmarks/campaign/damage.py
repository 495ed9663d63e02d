"""Every kind of file in a workspace flipped, cut short and taken away: a rerun mends it, or says it clearly."""

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.campaign.command import Ending, dinoflow
from tests.benchmarks.campaign.results import published, trained
from tests.benchmarks.campaign.tally import Tally

CACHE = (
    "stages/index/*.parquet",
    "stages/measure/*.parquet",
    "stages/measure/*.json",
    "stages/dedup/*.parquet",
    "stages/dedup/*.json",
    "stages/select/*.parquet",
    "stages/pack/*.parquet",
    "stages/pack/*.json",
    "stages/pack/*/dropped.parquet",
    "stages/pack/scatter/*.parquet",
    "stages/pack/buckets/*.parquet",
    "stages/*/orders/*.json",
    "memory/**/*.*",
    "dinoflow.json",
)
PUBLISHED = (
    "datasets/*/v0001/dataset.json",
    "datasets/*/v0001/manifest/*.parquet",
    "datasets/*/v0001/dropped/*.parquet",
    "datasets/*/v0001/shards/*.tar",
    "datasets/*/v0001/report.html",
)
RUN = (
    "runs/*/config.json",
    "runs/*/metrics.jsonl",
    "runs/*/checkpoints/step-*/state.pt",
    "runs/*/checkpoints/step-*/checkpoint.json",
    "runs/*/pretrain.json",
    "runs/*/pretrain.job.json",
    "runs/*/tensorboard/*",
    "runs/*/report.html",
    "runs/*/best.json",
    "evaluations/*/*.json",
)


def flipped(path: Path) -> None:
    """Turn one bit over in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    _write(path, bytes(data))


def cut(path: Path) -> None:
    """Leave the first half."""
    _write(path, path.read_bytes()[: path.stat().st_size // 2])


def gone(path: Path) -> None:
    """Take it away."""
    path.unlink()


def _write(path: Path, data: bytes) -> None:
    path.unlink()  # a file of several names is damaged under this one
    path.write_bytes(data)


DAMAGES: tuple[Callable[[Path], None], ...] = (flipped, cut, gone)


def damages(whole: Path, recipe: Path, home: Path, tally: Tally, few: bool = False) -> None:
    """Damage the last file of each kind in copies of a finished workspace, and run the commands that need it."""
    version, run = published(str(whole)), trained(str(whole))
    for kinds, title in ((CACHE, "the cache"), (PUBLISHED, "a version"), (RUN, "a run")):
        for kind in kinds:
            for damage in DAMAGES[:1] if few else DAMAGES:
                if not (files := sorted(path for path in whole.glob(kind) if path.is_file() and path.stat().st_size)):
                    continue
                row = tally.row(f"{title}: a file {damage.__name__}")
                row.fired += 1
                row.tried += 1
                copy = shutil.copytree(whole, home / "damaged", symlinks=True)
                damage(copy / files[-1].relative_to(whole))
                if kinds is CACHE:
                    shutil.rmtree(copy / "datasets")  # so that a version is made of what is in the cache
                endings = _commands(recipe, copy, title)
                name = files[-1].name
                said = any(name in one.text or files[-1].parent.name in one.text for one in endings)
                bad = next((one for one in endings if not one.clear), None)
                if bad:
                    row.fail(f"{kind} {damage.__name__}", bad)
                elif not (_equal(copy, version, run, title) or said):
                    row.lose(f"{kind} {damage.__name__}: {endings[-1].last_line}")
                shutil.rmtree(copy)


def _commands(recipe: Path, workspace: Path, title: str) -> list[Ending]:
    """Run what would notice."""
    given = (recipe, "--workspace", workspace)
    if title == "the cache":
        return [dinoflow("pack", *given)]
    if title == "a version":
        return [dinoflow("pack", *given), dinoflow("doctor", workspace)]
    return [dinoflow("pretrain", *given), dinoflow("evaluate", *given), dinoflow("doctor", workspace)]


def _equal(workspace: Path, version: object, run: object, title: str) -> bool:
    """Tell whether the result is that of the undisturbed workspace."""
    try:
        return trained(str(workspace)) == run if title == "a run" else published(str(workspace)) == version
    except Exception:  # noqa: BLE001  whatever reading it raises, it is not equal
        return False
