"""Mistakes of the person who asked: each says who needs what, what was given, and what to do."""


class UserError(Exception):
    """The request was wrong, or cannot be met as it stands: the command line exits with 2."""


class RecipeError(UserError):
    """A key, a value or a combination in a recipe that cannot be used."""


class SourceError(UserError):
    """A source of images that is missing, empty or not readable."""


class WorkspaceError(UserError):
    """A workspace that cannot be read or written, or that lacks what was asked for."""


class WorkFailedError(Exception):
    """The work was asked for correctly and failed: the command line exits with 1."""


class StoppedError(WorkFailedError):
    """The work was asked to stop, and goes on when it is run again: the command line exits with 75."""


class UnreadableError(Exception):
    """Why the bytes of one image could not be had."""
