"""Notices a step of several ranks that does not end, and says whom the others wait for.

Each rank writes signs of life on a board that all of them read. A collective that waits for a lost rank says nothing of
it: so whoever has waited too long reads the board, names the rank that is silent or furthest behind, and leaves, which
has the gang started again.
"""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Literal, Protocol, Self

Phase = Literal["start", "images", "step", "checkpoint"]
ORDER: tuple[Phase, ...] = ("start", "images", "step", "checkpoint")
"""What a rank does, in the order of one step; k-NN belongs to it."""
BEAT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
"""The board is kept by rank 0: without an answer for so long it is taken for the one that is stuck."""
OTHERS_SECONDS = 30.0
"""What those who say nothing wait for the one who does: it is the cause that should be read first."""
STUCK = 1


class Board(Protocol):
    """Where ranks leave what others read: a store of torch.distributed."""

    def set(self, key: str, value: str, /) -> None:
        """Write a value."""

    def get(self, key: str, /) -> bytes:
        """Return a value, once it is there."""

    def add(self, key: str, amount: int, /) -> int:
        """Add to a counter and return it."""


@dataclass(frozen=True)
class Sign:
    """What a rank last said of itself."""

    rank: int
    host: str
    pid: int
    step: int = 0
    phase: Phase = "start"
    beat: int = 0

    @property
    def doing(self) -> str:
        """What it is at."""
        of = {"start": "the start", "images": f"reading the images of step {self.step}", "step": f"step {self.step}"}
        return of.get(self.phase, f"the checkpoint after step {self.step}")

    @property
    def progress(self) -> tuple[int, int]:
        """How far it is: it compares with others'."""
        return self.step, ORDER.index(self.phase)

    @property
    def who(self) -> str:
        """Which process it is, for a person who looks for it."""
        return f"rank {self.rank} (process {self.pid} on {self.host})"


class Watch:
    """A rank's signs of life, and its eye on the others'; open while they work together."""

    def __init__(
        self, board: Board, rank: int, world: int, limit: float, leave: Callable[[int], object] = os._exit
    ) -> None:
        self.board, self.world, self.limit, self.leave = board, world, limit, leave
        self.sign, self.since = Sign(rank, socket.gethostname(), os.getpid()), time.monotonic()
        self.beat = min(BEAT_SECONDS, limit / 4)
        self.over = threading.Event()

    def begins(self, phase: Phase, step: int) -> None:
        """Note what this rank does from now on."""
        self.sign, self.since = replace(self.sign, phase=phase, step=step), time.monotonic()

    def __enter__(self) -> Self:
        for work in (self._write, self._look):
            threading.Thread(target=work, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()

    def _write(self) -> None:
        beat = 0
        while not self.over.wait(self.beat if beat else 0):
            beat += 1
            try:
                self.board.set(f"rank-{self.sign.rank}", json.dumps(asdict(replace(self.sign, beat=beat))))
            except RuntimeError:  # rank 0 is gone, and with it the work
                return

    def _look(self) -> None:
        while not self.over.wait(self.beat):
            waited = time.monotonic() - self.since
            if waited > self.limit:
                text, first = self._cause()
                if first:
                    line = f"{self.sign.doing} has not ended within {self.limit:g} s: {text}"
                    print(line, file=sys.stderr, flush=True)
                elif self.over.wait(OTHERS_SECONDS):
                    return
                self.leave(STUCK)
                return

    def _cause(self) -> tuple[str, bool]:
        """Return whom this rank waits for, and whether it is the first to say so."""
        answers: list[tuple[str, bool]] = []
        asking = threading.Thread(target=lambda: answers.append(self._asked()), daemon=True)
        asking.start()
        asking.join(ANSWER_SECONDS + 2 * self.beat)
        return answers[0] if answers else ("rank 0 does not answer", self.sign.rank == 1)

    def _asked(self) -> tuple[str, bool]:
        try:
            before = self._read()
            time.sleep(2 * self.beat)
            now = self._read()
            first = self.board.add("said", 1) == 1
        except RuntimeError:
            return "rank 0 does not answer", self.sign.rank == 1
        return whom(before, now), first

    def _read(self) -> list[Sign]:
        return [Sign(**json.loads(self.board.get(f"rank-{rank}"))) for rank in range(self.world)]


def whom(before: list[Sign], now: list[Sign]) -> str:
    """Return who is stuck, by the signs of all ranks at two times: the silent ones, or those furthest behind."""
    silent = [sign for old, sign in zip(before, now, strict=True) if old.beat == sign.beat]
    if silent:
        return "; ".join(f"{sign.who} gives no sign of life, last seen in {sign.doing}" for sign in silent)
    least = min(sign.progress for sign in now)
    behind = [sign for sign in now if sign.progress == least]
    if len(behind) == len(now):
        return f"all {len(now)} ranks are alive, and in {now[0].doing}: look at the network between them"
    return "; ".join(f"{sign.who} is still in {sign.doing}" for sign in behind)
