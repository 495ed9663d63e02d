"""The command line. Only what help needs is imported here; a command imports what it works with.

A module of this package adds its commands to the app by being imported.
"""

import os
import signal
import sys

from cyclopts import CycloptsError

from flows.cli import ablate, evaluate, export, inspect, pipeline, plan  # noqa: F401
from flows.cli.app import app
from flows.commands.escape import harmless
from shared.errors import StoppedError, UserError, WorkFailedError
from shared.errors.secrets import redacted
from shared.launch.stop_signals import REQUEUE

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130
STORAGE_CLIENTS = ("aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google")


def main() -> None:
    """Run the command; exit with 0 when done, 1 when the work failed, 2 when the request was wrong.

    On SIGTERM and SIGUSR1 it exits with 75, on Ctrl-C with 130: what is done is kept, and a rerun goes on from there.
    """
    asked: list[int] = []

    def stop(number: int, _: object) -> None:
        """Leave as on Ctrl-C, by every `finally` on the way: a temporary server must not outlive its command."""
        asked.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, stop)
    if any("://" in argument for argument in sys.argv):
        from shared.storage.credentials import withheld

        sys.argv[1:] = map(withheld, sys.argv[1:])
    try:
        app(sys.argv[1:], exit_on_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError:
        sys.exit(WRONG)
    except UserError as mistake:
        _fail(str(mistake), WRONG)
    except StoppedError as stopped:
        _fail(str(stopped), REQUEUE)
    except WorkFailedError as failure:
        _fail(str(failure), FAILED)
    except KeyboardInterrupt:
        code = REQUEUE if asked else INTERRUPTED
        _fail("stopped. Run the same command again: finished parts and checkpoints are kept.", code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still to be written goes nowhere
        _fail("whoever read the output has closed it. Run the same command again: what is finished is kept.", FAILED)
    except Exception as error:
        if not _of_storage(error):
            raise
        _fail(_storage_text(error), FAILED)


def _of_storage(error: Exception) -> bool:
    """Tell what a disk or an object store refuses from a bug: its clients raise errors of their own."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in STORAGE_CLIENTS


def _storage_text(error: Exception) -> str:
    """Name the file where the error does: a disk. An object store names itself, by what it says."""
    what = f"{type(error).__name__}: {error}"
    if isinstance(error, OSError) and error.errno is not None:
        place = f"{error.filename}: " if error.filename else "A disk or the network: "
        return f"{place}{error.strerror}. Check that place, its permissions and its free space."
    return f"A store refused ({what}). Check the URL, its permissions and your credentials."


def _fail(text: str, code: int) -> None:
    print(harmless(redacted(f"dinoflow: {text}")), file=sys.stderr)
    sys.exit(code)
