"""No event is lost when a flow's process ends while the server is behind, as Prefect's own client loses them."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.orchestration.pages.confirmed_events import confirm_events
from flows.orchestration.serving.asgi import respond
from flows.orchestration.serving.guarded_server import BEHIND_SECONDS, config_of
from tests.ports import free_port
from tests.waiting import until

COUNT = 300
BUSY_SECONDS = 3.0


class BusyServer:
    """Takes events as Prefect's does, by the same uvicorn: but at first it has something else to do.

    It pings every half second, and ends the connection of who does not answer within another: 20 and 20 as Prefect
    starts it. An answer waits behind all that was not read before it.
    """

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.connections = 0
        self.port = free_port()
        pings = {"ws_ping_interval": 0.5, "ws_ping_timeout": 0.5}
        config = uvicorn.Config(self.app, "127.0.0.1", self.port, lifespan="off", interface="asgi3", **pings)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            await respond(send, 404, "")
            return
        self.connections += 1
        busy = BUSY_SECONDS if self.connections == 1 else 0
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "prefect"})
        await receive()
        await send({"type": "websocket.send", "text": json.dumps({"type": "auth_success"})})
        for _ in range(2 * COUNT):
            message = await receive()
            if message["type"] != "websocket.receive":
                return
            await asyncio.sleep(busy)
            busy = 0
            self.ids.append(json.loads(message["text"])["id"])


@pytest.fixture
def server() -> Iterator[BusyServer]:
    one = BusyServer()
    one.thread.start()
    until(lambda: one.server.started, "the server starts")
    yield one
    one.server.should_exit = True
    one.thread.join(20)


def told(server: BusyServer, confirmed: bool) -> set[str]:
    """Emit events, of more bytes than one read takes in, as tasks do, and leave as a process that ends does."""
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{server.port}/api"}):
        if confirmed:
            confirm_events()
        ids = set()
        for number in range(COUNT):
            payload = {"bytes": os.urandom(3000).hex()}
            event = emit_event("told", resource={"prefect.resource.id": f"a.{number}"}, payload=payload)
            assert event, "Prefect takes it"
            ids.add(str(event.id))
        EventsWorker.drain_all()
        return ids


@pytest.fixture(autouse=True)
def of_its_own() -> Iterator[None]:
    yield
    EventsWorker.set_client_override(None)


def test_every_event_arrives_though_the_process_ends_while_the_server_is_behind(server: BusyServer) -> None:
    ids = told(server, confirmed=True)
    until(lambda: ids <= set(server.ids), "every event arrives", seconds=30)
    assert server.connections > 1, "the first was ended by the server, with what it had not read"


def test_without_that_some_are_lost(server: BusyServer) -> None:
    """Should this fail one day, Prefect does it by itself."""
    ids = told(server, confirmed=False)
    until(lambda: not server.server.server_state.connections and not server.server.server_state.tasks, "all is read")
    assert server.ids
    assert not ids <= set(server.ids)


def test_our_server_bears_with_being_behind() -> None:
    config = config_of(lambda *_: None, "127.0.0.1", 1)
    assert (config.ws_ping_interval, config.ws_ping_timeout) == (20, BEHIND_SECONDS)
    assert BEHIND_SECONDS >= 300
