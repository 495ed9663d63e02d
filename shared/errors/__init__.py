"""What a person is told when something is wrong: mistakes.py are the errors, secrets.py what none of them may tell."""

from shared.errors.mistakes import (
    DamagedFileError,
    RecipeError,
    SourceError,
    StoppedError,
    UnreadableError,
    UserError,
    WorkFailedError,
    WorkspaceError,
)

__all__ = [
    "DamagedFileError",
    "RecipeError",
    "SourceError",
    "StoppedError",
    "UnreadableError",
    "UserError",
    "WorkFailedError",
    "WorkspaceError",
]
