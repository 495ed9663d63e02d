"""Variables that a cluster sets: read with their launcher in mind, so that a missing one is named."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.errors import RecipeError


@dataclass(frozen=True)
class Variables:
    """An environment, read for a launcher."""

    launcher: str
    environment: Mapping[str, str]
    remedy: str
    """What to do when a variable is missing."""

    def text(self, *names: str) -> str:
        """Return the first of these variables that is set. Raises RecipeError, naming them, where none is."""
        for name in names:
            if value := self.environment.get(name):
                return value
        given = ", ".join(name for name in sorted(self.environment) if name.startswith(("SLURM_", "PET_", "MASTER_")))
        raise RecipeError(
            f"compute.launcher {self.launcher} needs {' or '.join(names)} in the environment, got "
            f"{given or 'nothing of the kind'}. {self.remedy}"
        )

    def number(self, *names: str) -> int:
        """Return a whole number. Raises RecipeError where no variable is set, or to something else."""
        value = self.text(*names)
        if not value.isdigit():
            raise RecipeError(
                f"compute.launcher {self.launcher} needs a whole number in {' or '.join(names)}, got {value!r}. "
                f"{self.remedy}"
            )
        return int(value)

    def has(self, name: str) -> bool:
        """Tell whether a variable is set."""
        return bool(self.environment.get(name))
