"""Mistakes of the person who asked: each says who needs what, what was given, and what to do."""

from shared.errors.secrets import redacted


class ToldError(Exception):
    """An error whose text is told and stored: whatever it is about, it holds no secret."""

    def __init__(self, text: str = "") -> None:
        """Take the text; passwords and tokens in its URLs are left out."""
        super().__init__(redacted(text))


class UserError(ToldError):
    """The request was wrong, or cannot be met as it stands: the command line exits with 2."""


class RecipeError(UserError):
    """A key, a value or a combination in a recipe that cannot be used."""


class SourceError(UserError):
    """A source of images that is missing, empty or not readable."""


class WorkspaceError(UserError):
    """A workspace that cannot be read or written, or that lacks what was asked for."""


class WorkFailedError(ToldError):
    """The work was asked for correctly and failed: the command line exits with 1."""


class DamagedFileError(WorkFailedError):
    """A file of a workspace that is not as it was written; what made it can make it again."""

    def __init__(self, file: str, why: str, *beside: str) -> None:
        """Take its name in the workspace, what is wrong, and the files that are made together with it."""
        self.file, self.why, self.beside = file, why, beside
        super().__init__(
            f"The workspace needs {file} as it was written, but it {why}. Run `dinoflow doctor WORKSPACE`, then the "
            "same command again."
        )

    def __reduce__(self) -> tuple[object, ...]:
        """Travel between processes with the names."""
        return DamagedFileError, (self.file, self.why, *self.beside)


class StoppedError(WorkFailedError):
    """The work was asked to stop, and goes on when it is run again: the command line exits with 75."""


class UnreadableError(ToldError):
    """Why the bytes of one image could not be had."""
