"""No event is lost when a flow's process ends while the server is behind, as Prefect's own client loses them."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from prefect.events.clients import PrefectEventsClient
from prefect.events.schemas.events import Event

from flows.orchestration.pages import confirmed_events
from flows.orchestration.pages.confirmed_events import ConfirmedEvents
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
        while (message := await receive())["type"] == "websocket.receive":
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


def sent_by(client: type[PrefectEventsClient], port: int) -> set[str]:
    """Send events, of more bytes than one read takes in, and leave at once."""

    async def send() -> set[str]:
        ids = set()
        async with client(api_url=f"http://127.0.0.1:{port}/api") as opened:
            for number in range(COUNT):
                resource = {"prefect.resource.id": f"a.{number}"}
                event = Event(event="told", resource=resource, payload={"bytes": os.urandom(3000).hex()})
                ids.add(str(event.id))
                await opened.emit(event)
        return ids

    return asyncio.run(send())


def test_every_event_arrives_though_the_process_ends_while_the_server_is_behind(server: BusyServer) -> None:
    ids = sent_by(ConfirmedEvents, server.port)
    until(lambda: ids <= set(server.ids), f"all arrive, {len(set(server.ids))} of {COUNT} have")
    assert server.connections > 1, "the first was ended by the server, with what it had not read"


def test_prefects_own_client_loses_some(server: BusyServer) -> None:
    """Should this fail one day, ours is not needed any more."""
    ids = sent_by(PrefectEventsClient, server.port)
    until(lambda: not server.server.server_state.connections and not server.server.server_state.tasks, "all is read")
    assert server.ids
    assert not ids <= set(server.ids)


def test_a_server_that_is_gone_is_not_waited_for(server: BusyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmed_events, "PATIENCE_SECONDS", 1.0)

    async def send() -> None:
        async with ConfirmedEvents(api_url=f"http://127.0.0.1:{server.port}/api") as opened:
            await opened.emit(Event(event="told", resource={"prefect.resource.id": "a"}))
            server.server.should_exit = True
            await asyncio.to_thread(server.thread.join, 60)

    asyncio.run(send())


def test_our_server_bears_with_being_behind() -> None:
    config = config_of(lambda *_: None, "127.0.0.1", 1)
    assert (config.ws_ping_interval, config.ws_ping_timeout) == (20, BEHIND_SECONDS)
    assert BEHIND_SECONDS >= 10 * confirmed_events.PATIENCE_SECONDS
