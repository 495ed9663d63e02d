"""Prefect's server behind a door: `python -m flows.orchestration.guarded_server HOST PORT`.

Prefect checks neither Host nor Origin, and a browser sends some requests of any page to any server: so a page could
start flows on this machine. Here a request must name this server as its host, which a page whose own name was bound
to this address cannot, and one that comes from a page must come from the server's own.
"""

import ipaddress
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

READS = ("GET", "HEAD")
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
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": why.encode()})

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
    """Serve until stopped."""
    import uvicorn
    from prefect.server.api.server import create_app

    host, port = sys.argv[1], int(sys.argv[2])
    uvicorn.run(Door(create_app(final=True), host), host=host, port=port, log_level="warning")


if __name__ == "__main__":
    main()
