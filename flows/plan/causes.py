"""Why a stage would run: what differs from its newest output in the workspace."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from flows.recipe.changes import recipe_changes
from flows.session import WRITERS
from shared.catalog import IMAGES
from shared.params import Params
from shared.stage_runner import Forecast
from shared.storage import Store
from shared.tables import Output, Rows, sealed

Manifest = dict[str, Any]
FILE = ("uri", "label", "offset", "length", "rotation", "stamp")
"""Columns of a listing that change when a file does."""


def causes(one: Forecast, newest: Manifest | None, forecasts: Mapping[str, Forecast], store: Store) -> list[str]:
    """Return the reasons, the nearest first; `forecasts` are those of all stages by name."""
    if newest is None:
        return ["never made"]
    reasons = [*_own(one, newest), *_of_inputs(one, newest, forecasts, store)]
    return reasons or ["its output, or parts of it, are gone"]


def _own(one: Forecast, newest: Manifest) -> Iterator[str]:
    """Yield what changed of the stage itself: its version, its parameters."""
    if newest["version"] != one.stage.version:
        yield f"version of {one.stage.name} was {newest['version']}, now {one.stage.version}"
    changes = recipe_changes(_in_todays_words(one.params, newest["params"]), one.params.model_dump(mode="json"))
    for key, (before, now) in changes.items():
        yield f"{one.stage.key}.{key} was {_short(before)}, now {_short(now)}"


def _in_todays_words(params: Params, dumped: dict[str, Any]) -> dict[str, Any]:
    """Return older parameters with the fields and defaults of today, where they can still be read."""
    try:
        return type(params).model_validate(dumped).model_dump(mode="json")
    except ValidationError:
        return dumped


def _of_inputs(one: Forecast, newest: Manifest, forecasts: Mapping[str, Forecast], store: Store) -> Iterator[str]:
    """Yield which inputs changed: files of a listing, or a stage that would run first."""
    keys: dict[str, str] = dict(newest["inputs"])
    for contract, output in zip(one.stage.reads, one.inputs, strict=True):
        writer = WRITERS[contract.name]
        if not forecasts[writer.name].done:
            yield f"{writer.name} {'would' if forecasts[writer.name].sure else 'may'} run"
        elif output is not None and output.key != keys.get(writer.name):
            before = sealed(store, writer.name, keys.get(writer.name, ""))
            if before and before.contents(contract) == output.contents(contract):  # in the columns that are read
                continue
            changed = _listing_changes(before, output, store) if writer.looks_outside and before else ""
            yield f"{writer.name}: {changed}" if changed else f"{writer.name} is another than before"


def _listing_changes(before: Output, now: Output, store: Store) -> str:
    """Return how many files of a listing are new, gone or changed, in words."""
    old, new = (_listing(Rows(store, output)) for output in (before, now))
    both = old.select(["uri"]).join(new.select(["uri"]), "uri", join_type="inner").num_rows
    same = old.join(new, list(FILE), join_type="inner").num_rows
    counts = {"new": new.num_rows - both, "gone": old.num_rows - both, "changed": both - same}
    return ", ".join(f"{count:,} files {what}" for what, count in counts.items() if count)


def _listing(rows: Rows) -> pa.Table:
    """Return what tells one file from another, as text without nulls, which a join would not match."""
    table = rows.table(IMAGES, FILE)
    return pa.table({name: pc.fill_null(table[name].cast(pa.string()), "") for name in FILE})


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
