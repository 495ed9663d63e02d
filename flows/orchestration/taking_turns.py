"""Work on one dataset of one workspace goes one at a time, whichever deployment started it; other work goes on."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from prefect import get_client, get_run_logger
from prefect.concurrency.sync import concurrency

from flows.orchestration.pages.report_links import called
from flows.session import Session

LEASE_SECONDS = 60.0
"""How long a slot stays taken whose holder was killed; a living one renews it."""
SERVER_ENDS_WITH_US: ContextVar[bool] = ContextVar("SERVER_ENDS_WITH_US", default=False)
"""Whether the server is a temporary one of this process."""


@contextmanager
def one_at_a_time(work: str, session: Session) -> Iterator[None]:
    """Hold the limit of this work on the session's dataset through the block; wait while another run holds it.

    Nobody else asks a temporary server, and a slot would stay taken in its database where it is killed with its holder:
    there the workspace's own locks suffice.
    """
    if SERVER_ENDS_WITH_US.get():
        yield
        return
    limit = f"{work} of {session.recipe.name} in {' '.join(called(session.store))}"
    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name(limit, 1)
    get_run_logger().info("Takes the one slot of %r; waits where another run holds it.", limit)
    with concurrency(limit, lease_duration=LEASE_SECONDS, strict=False):
        yield
