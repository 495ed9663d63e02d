"""Events that arrive: each is confirmed by the server before the next one goes out, and sent again where it was not.

Task runs reach the server as events. Prefect's client asks every 700 events or 30 s whether they were read, and not
when it closes; a server that is behind ends the connection by itself, with all that it has not read. Whoever uses it
after that sends them again, whoever has left does not: of a flow that ended at once, a busy server had 133 of 200 task
runs.
"""

from prefect.events.clients import PrefectEventsClient
from prefect.events.worker import EventsWorker, emit_events_to_cloud
from prefect.settings import PREFECT_API_URL


def confirm_events() -> None:
    """From now on this process's events are confirmed by the server that PREFECT_API_URL names.

    They wait in this process meanwhile, and it ends when the last is confirmed or has been tried eleven times.
    """
    url = PREFECT_API_URL.value()
    if url and not emit_events_to_cloud():
        # Of another class of client, even one derived from it, Prefect sends no events at all.
        EventsWorker.set_client_override(PrefectEventsClient, api_url=str(url), checkpoint_every=1)
