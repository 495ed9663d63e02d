"""The command line. Only what help needs is imported here; a command imports what it works with.

A module of this package adds its commands to the app by being imported.
"""

import os
import signal
import sys

from cyclopts import CycloptsError

from flows.cli import ablate, evaluate, export, inspect, pipeline, plan  # noqa: F401
from flows.cli.app import app
from shared.errors import UserError, WorkFailedError

DONE, FAILED, WRONG = 0, 1, 2
STORAGE_CLIENTS = ("aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google")


def main() -> None:
    """Run the command; exit with 0 when done, 1 when the work failed, 2 when the request was wrong."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        app(exit_on_error=False, result_action="return_value")
    except CycloptsError:
        sys.exit(WRONG)
    except UserError as mistake:
        _fail(str(mistake), WRONG)
    except WorkFailedError as failure:
        _fail(str(failure), FAILED)
    except KeyboardInterrupt:
        _fail("stopped. Run the same command again: finished parts and checkpoints are kept.", 130)
    except BrokenPipeError:
        os._exit(FAILED)
    except Exception as error:
        if not _of_storage(error):
            raise
        _fail(f"{type(error).__name__}: {error}. Check the URL or path, its permissions and your credentials.", FAILED)


def _stop(*_: object) -> None:
    """Leave as on Ctrl-C, by every `finally` on the way: a temporary server must not outlive its command."""
    raise KeyboardInterrupt


def _of_storage(error: Exception) -> bool:
    """Tell what a disk or an object store refuses from a bug: its clients raise errors of their own."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in STORAGE_CLIENTS


def _fail(text: str, code: int) -> None:
    print(f"dinoflow: {text}", file=sys.stderr)
    sys.exit(code)
