"""Events that arrive: a flow's process leaves when the server has read what it was told, or after a minute.

Task runs reach the server as events. Prefect's client does not ask whether they were read when it closes, and a server
that is behind ends the connection by itself, with all that it has not read: whoever uses it after that sends them
again, whoever has left does not. So a flow that ended at once had 133 of 200 task runs recorded on a busy machine.
"""

import asyncio
from contextlib import suppress
from types import TracebackType

from prefect.events.clients import RETRYABLE_EXCEPTIONS, PrefectEventsClient
from prefect.events.worker import EventsWorker, emit_events_to_cloud
from prefect.settings import PREFECT_API_URL

PATIENCE_SECONDS = 60.0
"""How long a process that ends waits for a server that is behind, and one that works for its answer to a ping."""
TRIES = 3


class ConfirmedEvents(PrefectEventsClient):
    """Prefect's client, which asks before it closes whether all was read, and sends again what was not."""

    async def _reconnect(self) -> None:
        await super()._reconnect()
        assert self._websocket is not None
        self._websocket.ping_timeout = PATIENCE_SECONDS

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(TimeoutError, *RETRYABLE_EXCEPTIONS):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._confirmed()
        await super().__aexit__(kind, error, trace)

    async def _confirmed(self) -> None:
        """Return when the server has read everything. Raises what ended the last connection where it has not."""
        for again in range(TRIES):
            try:
                if self._websocket is None:
                    await self._reconnect()
                await self._force_checkpoint()
                return
            except RETRYABLE_EXCEPTIONS:
                if again == TRIES - 1:
                    raise
                self._stop_checkpoint_task()
                await self._reconnect()


def confirm_events() -> None:
    """From now on this process's events are confirmed, unless they go to a temporary server, which ends with it."""
    url = PREFECT_API_URL.value()
    if url and not emit_events_to_cloud():
        EventsWorker.set_client_override(ConfirmedEvents, api_url=str(url))
