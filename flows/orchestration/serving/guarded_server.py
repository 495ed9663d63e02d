"""Prefect's server behind a door: `python -m flows.orchestration.serving.guarded_server HOST PORT [PARENT]`.

Prefect checks neither Host nor Origin, and a browser sends some requests of any page to any server: so a page could
start flows on this machine. Here a request must name this server as its host, which a page whose own name was bound
to this address cannot, and one that comes from a page must come from the server's own.
"""

import ipaddress
import os
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flows.orchestration.serving.asgi import App, Message, Receive, Send, respond
from flows.orchestration.serving.history import keep_history
from flows.orchestration.serving.server_settings import take_settings
from shared.launch.stop_signals import die_with_parent

if TYPE_CHECKING:
    import uvicorn

READS = ("GET", "HEAD")
CLOSE_SECONDS = 2
"""Time that open requests and websockets get to end, once the server is asked to stop: a page stays connected."""
LEAVE_SECONDS = 5.0
"""Time to stop in all. Now and then a service of Prefect's swallows the cancellation and would be waited for without
end; what it holds is in the database already."""
BEHIND_SECONDS = 600.0
"""Time for a client's answer to a ping. It waits behind all the events that the client has sent: by uvicorn's 20 s, a
server that is further behind would cut off just those who have told it most, with all that it has not read."""
FOREIGN = ("cross-site", "same-site")
"""What a browser says of a request that another origin's page made."""


class Door:
    """Lets in what names this server and comes from no other page; HTTP and websockets alike."""

    def __init__(self, app: App, host: str) -> None:
        """Take the application, and the address that it listens on."""
        self.app, self.host = app, host
        self.names = {"localhost", host}
        if not is_loopback(host):
            self.names |= {socket.gethostname(), socket.getfqdn()}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it with 403."""
        why = self._refusal(scope) if scope["type"] in ("http", "websocket") else ""
        if not why:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": why})
        else:
            await respond(send, 403, why)

    def _refusal(self, scope: Message) -> str:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        place = headers.get("host", "")
        if not self._is_here(place):
            return "dinoflow serve: this server has another name. Open it by its address."
        origin = headers.get("origin")
        foreign = headers.get("sec-fetch-site") in FOREIGN and scope.get("method") not in READS
        if (origin is not None and urlsplit(origin).netloc != place) or foreign:
            return "dinoflow serve: a page of another origin may not use this server."
        return ""

    def _is_here(self, place: str) -> bool:
        """Tell whether a Host header means this server: by an address, which no page can take, or by its own name."""
        name = urlsplit(f"//{place}").hostname or ""
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in {one.lower() for one in self.names}
        return address.is_loopback or not is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def main() -> None:
    """Serve until stopped, or until who started it, by its process id, is gone."""
    host, port, *parent = sys.argv[1:]
    die_with_parent(*map(int, parent))
    _serve(host, int(port))


def _serve(host: str, port: int) -> None:
    take_settings(host, port)
    keep_history()
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    from flows.orchestration.pages.report_links import served_workspaces
    from flows.orchestration.serving.reports import Reports

    class Server(uvicorn.Server):
        """Ends within LEAVE_SECONDS of being asked to."""

        def handle_exit(self, *signalled: Any) -> None:
            """Take in a signal."""
            end = threading.Timer(LEAVE_SECONDS, os._exit, (0,))
            end.daemon = True
            end.start()
            super().handle_exit(*signalled)

    password = get_current_settings().server.api.auth_string
    known = password.get_secret_value() if password else ""
    door = Door(Reports(create_app(final=True), served_workspaces(), known), host)
    Server(config_of(door, host, port)).run()


def config_of(app: App, host: str, port: int) -> "uvicorn.Config":
    """Return how an application is served."""
    import uvicorn

    return uvicorn.Config(
        app,
        host,
        port,
        log_level="warning",
        timeout_graceful_shutdown=CLOSE_SECONDS,
        ws_ping_interval=20,
        ws_ping_timeout=BEHIND_SECONDS,
    )


if __name__ == "__main__":
    main()
