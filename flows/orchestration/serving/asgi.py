"""What passes between a web server and an application (ASGI), as our two use it."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


async def respond(send: Send, status: int, body: str | bytes, headers: Mapping[str, str] | None = None) -> None:
    """Answer an HTTP request, in plain text unless the headers say otherwise."""
    told = {"content-type": "text/plain; charset=utf-8"} | dict(headers or {})
    lines = [(name.encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body.encode() if isinstance(body, str) else body})
