"""Finished tables: a seal names what made one, and its parts in their order."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from shared.errors import DamagedFileError
from shared.schema import Contract
from shared.storage import Store
from shared.storage.checked_json import json_text, read_facts
from shared.tables.parts import FOLDER, Part, part_of

REMEMBERED = "remembered"
"""The fact of an output that names the files in which the next run finds again what this one found."""


@dataclass(frozen=True)
class Output:
    """A finished table: what made it, and its parts in order."""

    stage: str
    key: str
    aligned: str | None
    parts: tuple[Part, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    """What the stage says of the whole: it names nothing, so that it may change without a part."""

    @property
    def rows(self) -> int:
        """All rows of all parts."""
        return sum(part.rows for part in self.parts)

    @property
    def reasons(self) -> dict[str, int]:
        """Rows for each reason, over all parts."""
        total: dict[str, int] = {}
        for part in self.parts:
            for reason, count in part.reasons.items():
                total[reason] = total.get(reason, 0) + count
        return total

    def contents(self, contract: Contract) -> list[str]:
        """Return for each part what is equal for equal rows of a contract's columns; "" where that is not known."""
        columns = (*contract.columns, *contract.optional)
        return [part.content(columns) for part in self.parts]

    def seal(self, store: Store, facts: dict[str, Any]) -> "Output":
        """Write the manifest: from now on the same request finds this output."""
        columns = self.parts[0].columns if self.parts else ""  # once: of all parts they would be a third of the seal
        parts = [{k: v for k, v in asdict(part).items() if k != "columns" or v != columns} for part in self.parts]
        manifest = {**facts, "aligned": self.aligned, "columns": columns, "parts": parts}
        manifest |= {"facts": self.facts} if self.facts else {}
        store.write(manifest_name(self.stage, self.key), json_text(manifest))
        return self


def manifest_name(stage: str, key: str) -> str:
    """Where the manifest of an output lies."""
    return f"{FOLDER}/{stage}/{key}.json"


def sealed(store: Store, stage: str, key: str) -> Output | None:
    """Return the finished output, or None when it was never sealed or lost a part since.

    Raises DamagedFileError for a seal that is not as it was written.
    """
    name = manifest_name(stage, key)
    try:
        manifest = read_facts(store, name)
    except FileNotFoundError:
        return None
    output = output_of(manifest, stage, key)
    existing = set(store.names(f"{FOLDER}/{stage}"))
    return output if all(f"{part.name}.parquet" in existing for part in output.parts) else None


def recorded(store: Store, stage: str, key: str) -> Output:
    """Return an output that is known to be sealed, without looking for its parts."""
    name = manifest_name(stage, key)
    return output_of(read_facts(store, name), stage, key)


def output_of(manifest: dict[str, Any], stage: str, key: str) -> Output:
    """Return the output that a seal tells of. Raises DamagedFileError for one that tells of none."""
    try:
        columns = {"columns": manifest.get("columns", "")}
        parts = tuple(part_of(columns | part) for part in manifest["parts"])
        return Output(stage, key, manifest["aligned"], parts, manifest.get("facts", {}))
    except (KeyError, TypeError) as error:
        raise DamagedFileError(manifest_name(stage, key), "is no seal of a stage") from error


def made_by(store: Store, output: Output) -> str:
    """Return what made a sealed output, without what it was made of: stage, version and parameters, as JSON."""
    facts = read_facts(store, manifest_name(output.stage, output.key))
    return json.dumps([facts["stage"], facts["version"], facts["params"]], sort_keys=True)


def newest_manifest(store: Store, stage: str) -> dict[str, Any] | None:
    """Return the manifest that was sealed last for a stage, or None when there is none that can be read."""
    newest = store.newest(f"{FOLDER}/{stage}", ".json")
    if newest is None:
        return None
    try:
        return read_facts(store, newest)
    except DamagedFileError:
        return None
