"""A campaign of disturbances: commands are killed, disks run full, files are damaged, writers meet, sources change.

    python -m tests.benchmarks.chaos [--scale 1] [--only NAME…] [--seed 0] [--folder DIR] > tests/benchmarks/chaos.md

The scale 1 takes some minutes; 10 kills more than 150 times. A kill counts where something new was finished since the
one before it. What comes out in the end must be what an undisturbed run gives: manifest, dropped rows, the bytes in the
shards, weights to the bit. Exits with 1 where anything failed or was lost. Disks run full on a tmpfs of this process's
own, which takes root; without, that part is skipped, and the table says so. Ctrl-C or SIGTERM ends it with what was
counted.
"""

import argparse
import os
import platform
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.campaign.command import dinoflow
from tests.benchmarks.campaign.damage import damages
from tests.benchmarks.campaign.full_disk import full_disks
from tests.benchmarks.campaign.hostile import hostile
from tests.benchmarks.campaign.kill_curation import Curation
from tests.benchmarks.campaign.kill_training import Training, kills_at_uploads
from tests.benchmarks.campaign.meeting import curations, trainings
from tests.benchmarks.campaign.tally import Tally
from tests.benchmarks.scale.hardware import hardware


def curation(home: Path, tally: Tally, scale: int, seed: int) -> None:
    """Kill curation."""
    one = Curation(home, tally, seed)
    one.kills_at_commits(4 * scale)
    one.kills_in_publishing(3 * scale)
    one.kills_in_publishing(scale, changed=True)
    one.changes_at_every_stage()
    one.kills_at_commits(scale, "curate")


def training(home: Path, tally: Tally, scale: int, seed: int) -> None:
    """Kill training, alone and with two ranks."""
    Training(home, tally, seed).kills(4 * scale)
    Training(home, tally, seed, processes=2).kills(2 * scale)


def uploads(home: Path, tally: Tally, scale: int, seed: int) -> None:
    """Kill the pipeline in an object store."""
    kills_at_uploads(home, tally, 2 * scale, seed)


def damage(home: Path, tally: Tally, scale: int, seed: int) -> None:
    """Damage files, fill disks."""
    whole = Training(home, tally, seed)
    assert dinoflow("evaluate", whole.recipe, "--workspace", whole.whole).code == 0
    damages(whole.whole, whole.recipe, home, tally, few=scale == 1)
    full_disks(Curation(home / "disks", tally, seed), whole.whole, whole.recipe, tally, few=scale == 1)


def together(home: Path, tally: Tally, scale: int, seed: int) -> None:
    """Let commands meet."""
    curations(Curation(home, tally, seed), tally, max(1, scale // 3))
    whole = Training(home / "trained", tally, seed)
    trainings(whole.whole, whole.recipe, home, tally, max(1, scale // 3))


def sources(home: Path, tally: Tally, scale: int, seed: int) -> None:
    """Curate what means harm."""
    hostile(home, tally)


PARTS: dict[str, Callable[[Path, Tally, int, int], None]] = {
    part.__name__: part for part in (sources, curation, training, damage, together, uploads)
}


def main() -> None:
    """Run the parts and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--only", action="append", default=[], choices=list(PARTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="work there, and keep what is left")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    tally, began = Tally(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dinoflow-chaos-") as scratch:
        os.environ["PREFECT_HOME"] = f"{scratch}/prefect"
        for name in options.only or PARTS:
            home = (options.folder or Path(scratch)) / name
            home.mkdir(parents=True)
            try:
                PARTS[name](home, tally, options.scale, options.seed)
            except KeyboardInterrupt:
                tally.skipped.append(f"what was left of {name}, and what comes after it: stopped by hand")
                break
            except (AssertionError, OSError) as error:  # the campaign's own preparations: what was counted stays
                tally.row(name).fail(f"ended early: {str(error)[-300:]}")
            print("\n".join((f"{name}: {tally.kills} kills", *tally.table())), file=sys.stderr, flush=True)
    cpu = sum(getattr(resource.getrusage(resource.RUSAGE_CHILDREN), name) for name in ("ru_utime", "ru_stime"))
    print("\n".join(("# Chaos: what was disturbed, and what was lost", "", (__doc__ or "").partition("\n\n")[2], "")))
    print(f"{hardware()} {platform.system()}, scale {options.scale}, seed {options.seed}, ", end="")
    print(f"{(time.monotonic() - began) / 60:.0f} minutes, {cpu / 60:.0f} CPU minutes.\n")
    print("\n".join(tally.table()))
    sys.exit(1 if tally.broken else 0)


if __name__ == "__main__":
    main()
