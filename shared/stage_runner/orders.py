"""Orders: what every piece of a stage needs to know, written once on storage, so that what travels is its name.

A stage over 10,000 parts reads tables whose lists of parts are megabytes; a piece of it is sent in under 1 kB.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import pyarrow as pa

from shared.params import Params, fingerprint
from shared.stage import Stage, load
from shared.stage_runner.aliases import Aliases
from shared.stage_runner.memo import Memo
from shared.storage import Store
from shared.storage.checked_json import json_text, read_facts
from shared.tables import FOLDER, Output, recorded

KEPT = 16
"""Orders that a process remembers: those of one stage at a time, and of those before."""


MEMORY = "memory"
"""The folder of what stages remember."""
ALIASES = "aliases"

Runs = Mapping[str, Sequence[str]]
"""Runs by the folder of their memo."""


@dataclass(frozen=True)
class RowMemory:
    """Where a stage remembers rows, whatever its parts are cut like."""

    store: Store
    folder: str
    identity: str
    """What beside a row's own key its result depends on: stage, version, parameters."""
    runs: Runs | None = None
    """What was remembered before the stage began; None = whatever is there."""

    def rows(self, schema: pa.Schema) -> Memo:
        """Return the memo of rows of this schema, whose words are plain strings."""
        return Memo(self.store, self.folder, schema, self._listed(self.folder))

    def aliases(self) -> Aliases:
        """Return what else the rows are called."""
        folder = f"{self.folder}/{ALIASES}"
        return Aliases.of(self.store, folder, self._listed(folder))

    def memos(self) -> tuple[Memo, ...]:
        """Return all that is remembered, as what has runs."""
        return self.rows(pa.schema([])), self.aliases().memo

    def _listed(self, folder: str) -> tuple[str, ...] | None:
        return None if self.runs is None else tuple(self.runs[folder])


@dataclass(frozen=True)
class StageRun:
    """A stage with its parameters and its inputs."""

    stage: Stage
    params: Params
    workspace: str
    inputs: tuple[Output, ...] = ()
    runs: Runs | None = None
    """What the stage remembered before it began."""

    @property
    def store(self) -> Store:
        """The workspace."""
        return Store(self.workspace)

    @property
    def key(self) -> str:
        """The name of the whole output: inputs that are equal in what is read of them make one output."""
        return self.name(self.contents)

    @cached_property
    def contents(self) -> list[list[str]]:
        """What of each input, part by part, the stage reads; "" for a part that is not made yet."""
        return [output.contents(reads) for output, reads in zip(self.inputs, self.stage.reads, strict=True)]

    def name(self, *facts: object) -> str:
        """Return the name of what this stage makes of the given facts."""
        return fingerprint(self.stage.name, self.stage.version, self.stage.identity(self.params), *facts)

    @property
    def memory(self) -> RowMemory:
        """Where the stage remembers rows: those of a version lie together, for they can go together."""
        folder, identity = f"{MEMORY}/{self.stage.name}/v{self.stage.version}", self.name()
        return RowMemory(self.store, f"{folder}/{identity}", identity, self.runs)


@dataclass(frozen=True)
class Order:
    """The name of a run of a stage that is written on storage."""

    stage: str
    workspace: str
    name: str

    def open(self) -> StageRun:
        """Return the run, read once in a process."""
        return _opened(self)


def place(work: StageRun) -> Order:
    """Write what the pieces of a run need to know, and return its name."""
    text = json_text(
        {
            "stage": f"{work.stage.fn.__module__}:{work.stage.name}",
            "params": work.params.model_dump(mode="json"),
            "inputs": [[output.stage, output.key, output.aligned] for output in work.inputs],
            "files": [fingerprint([part.name for part in output.parts]) for output in work.inputs],
            "runs": work.runs,
        }
    )
    order = Order(work.stage.name, work.workspace, fingerprint(text))
    work.store.write(_path(order.stage, order.name), text)
    return order


@lru_cache(KEPT)
def _opened(order: Order) -> StageRun:
    store = Store(order.workspace)
    facts = read_facts(store, _path(order.stage, order.name))
    stage = load(facts["stage"])
    inputs = tuple(
        recorded(store, name, key) if key != IDLE else Output(name, key, aligned, ())
        for name, key, aligned in facts["inputs"]
    )
    return StageRun(stage, stage.params.model_validate(facts["params"]), order.workspace, inputs, facts["runs"])


IDLE = "idle"
"""The key of a table that nothing was asked for: it is empty, and nowhere on storage."""


def orders_of(stage: str) -> str:
    """Return the folder of a stage's orders, and of what they list."""
    return f"{FOLDER}/{stage}/orders"


def _path(stage: str, name: str) -> str:
    return f"{orders_of(stage)}/{name}.json"
