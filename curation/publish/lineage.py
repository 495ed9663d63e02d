"""What the stage cache still knows of a published version: the tables that it was made of, while they last."""

from dataclasses import dataclass

from shared.dataset_version import Published
from shared.storage import Store
from shared.tables import Rows, sealed


@dataclass(frozen=True)
class Lineage:
    """The outputs that dataset.json names, as far as the workspace still has them."""

    store: Store
    keys: dict[str, str]

    @classmethod
    def of(cls, workspace: Store, dataset: Published) -> "Lineage":
        """Return the lineage of a version."""
        return cls(workspace, dataset.info.get("lineage", {}))

    def rows(self, stage: str) -> Rows | None:
        """Return what a stage made, or None when that was deleted or never made."""
        output = sealed(self.store, stage, self.keys[stage]) if stage in self.keys else None
        return Rows(self.store, output) if output else None

    def measured(self) -> tuple[Rows, Rows] | None:
        """Return measurements and decisions, row beside row; None when either is gone."""
        measurements, decisions = self.rows("measure"), self.rows("select")
        return (measurements, decisions) if measurements and decisions else None
