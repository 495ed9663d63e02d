"""A calibration: the compared pairs of a dataset version, those that a person is asked about, and the answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.dedup.geometry.verdicts import NO_COPIES
from curation.publish.lineage import Lineage
from flows.inspect.calibrate.pairs import Pair, Strata, chosen, pair_id, stratified
from flows.inspect.calibrate.verdict import lines, verdict
from flows.inspect.notes import limits_of
from flows.inspect.workspace import existing, only
from shared.catalog import VERIFIED
from shared.dataset_version import Published, open_version
from shared.errors import UserError, WorkspaceError
from shared.params import fingerprint
from shared.storage import Store

FOLDER = "calibration"
FEWEST = 4


@dataclass(frozen=True)
class Calibration:
    """The pairs of one dataset version, those that are asked about, and what was answered so far."""

    store: Store
    dataset: Published
    lineage: Lineage
    limit: float
    strata: Strata
    asked: tuple[int, ...]
    """Places in the strata."""
    goal: float

    @property
    def key(self) -> str:
        """What the answers belong to."""
        return fingerprint(self.lineage.keys["verify"], self.limit, [pair_id(pair) for pair in self.pairs])

    @property
    def pairs(self) -> list[Pair]:
        """The pairs that are asked about."""
        return [self.strata.pairs[place] for place in self.asked]

    @property
    def path(self) -> str:
        """Where the answers lie in the workspace."""
        return f"{FOLDER}/{self.key}.json"

    def kept(self) -> dict[str, bool | None]:
        """Return the answers that were given before."""
        if not self.store.exists(self.path):
            return {}
        answers: dict[str, bool | None] = json.loads(self.store.read(self.path))["answers"]
        return answers

    def keep(self, sent: Any) -> dict[str, Any]:
        """Keep answers, and return how many there are. Raises UserError for what is no answer about these pairs."""
        answers = self.checked(sent)
        self.store.write(self.path, json.dumps({"calibration": self.key, "answers": answers}, indent=1))
        return {"answers": len(answers)}

    def finish(self, sent: Any) -> dict[str, Any]:
        """Keep the last answers, and return the verdict with its words. Raises UserError as `keep` does."""
        self.keep(sent)
        facts = self.verdict(self.kept())
        return facts | {"lines": list(lines(facts))}

    def checked(self, sent: Any) -> dict[str, bool | None]:
        """Return what a page or a file holds, as answers."""
        if not isinstance(sent, dict) or not isinstance(sent.get("answers"), dict):
            raise UserError(f"calibrate needs answers as its page writes them, got {str(sent)[:60]!r}.")
        if sent.get("calibration") != self.key:
            raise UserError(
                f"calibrate needs answers about these pairs ({self.key}), got some of {sent.get('calibration')}: the "
                "dataset, its limit or --pairs changed since. Draw the page again."
            )
        ids, given = {pair_id(pair) for pair in self.pairs}, sent["answers"]
        wrong = [f"{key}: {one}" for key, one in given.items() if key not in ids or not isinstance(one, bool | None)]
        if wrong:
            raise UserError(f"calibrate needs true, false or null for each of its pairs, got {wrong[0]}.")
        return dict(given)

    def verdict(self, answers: Mapping[str, bool | None]) -> dict[str, Any]:
        """Return what the answers come to; a pair that a person could not tell says nothing."""
        by_id = {pair_id(self.strata.pairs[place]): place for place in self.asked}
        clear = {by_id[key]: value for key, value in answers.items() if value is not None}
        return verdict(self.strata, clear, self.limit, self.goal)


def prepared(workspace: str, name: str | None, count: int, goal: float) -> Calibration:
    """Return the pairs to ask about. Raises UserError or WorkspaceError where there are none."""
    store = existing(workspace)
    dataset = open_version(store, name or only(store))
    lineage, title = Lineage.of(store, dataset), f"{dataset.name} {dataset.version}"
    limit = limits_of(dataset.info.get("recipe", {}), float("inf"))[1]
    if limit is None:
        raise UserError(
            f"calibrate needs pairs that were compared pixel by pixel, but {title} was curated without: "
            "curation.dedup.near must be on, and its verify geometric."
        )
    verified = lineage.rows("verify")
    if verified is None:
        raise WorkspaceError(f"The pairs of {title} lie in the stage cache, which was deleted. Curate again.")
    table = verified.table(VERIFIED, ["uri", "other_uri", "set", "score", "verdict"])
    decided = pc.is_in(table["verdict"].cast(pa.string()), pa.array(NO_COPIES))
    table = table.filter(pc.and_(pc.is_null(table["set"]), pc.invert(decided)))
    pairs = list(zip(table["uri"].to_pylist(), table["other_uri"].to_pylist(), strict=True))
    strata = stratified(pairs, table["score"].to_pylist(), limit)
    if len(strata.scores) < FEWEST:
        raise UserError(
            f"calibrate needs {FEWEST} pairs near the limit {limit:g}, got {len(strata.scores)} of the {len(pairs):,} "
            f"that were compared in {title}. A larger collection has more."
        )
    return Calibration(store, dataset, lineage, limit, strata, tuple(chosen(strata, count)), goal)
