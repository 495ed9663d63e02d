"""A page on loopback that a person answers: the server of one calibration, gone when it is done.

Its address holds a secret, so that no other page of the browser can send answers to it.
"""

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any

from shared.errors import UserError

LONGEST = 1_000_000
"""Bytes of a request."""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"

TakeAnswers = Callable[[Any], dict[str, Any]]
"""Takes what the page sent, keeps it and returns what the page shows. Raises UserError for what is no answer."""


@dataclass(frozen=True)
class Page:
    """What is served, and who takes what comes back."""

    html: str
    path: str
    takers: dict[str, TakeAnswers]
    done: Event
    one_at_a_time: Lock = field(default_factory=Lock)


@contextmanager
def served(html: str, keep: TakeAnswers, finish: TakeAnswers, port: int) -> Iterator[tuple[str, Event]]:
    """Serve the page; give its address, and an event that is set when the person is done. Port 0 takes a free one.

    `keep` takes the answers so far, `finish` the last ones.
    """
    done, path = Event(), f"/{secrets.token_urlsafe(12)}/"
    takers = {f"{path}answers": keep, f"{path}done": finish}
    try:
        server = ThreadingHTTPServer(
            ("127.0.0.1", port), type("Handler", (PageHandler,), {"page": Page(html, path, takers, done)})
        )
    except OSError as error:
        raise UserError(
            f"calibrate needs a free port of 127.0.0.1, got {port} ({error.strerror}). Choose another with --port."
        ) from error
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{path}", done
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class PageHandler(BaseHTTPRequestHandler):
    """Gives the page, and takes answers."""

    page: "Page"

    def do_GET(self) -> None:
        """Give the page."""
        if self.path == self.page.path:
            self._send(200, "text/html", self.page.html)
        else:
            self._send(404, "text/plain", "Nothing is here: open the address that dinoflow calibrate printed.")

    def do_POST(self) -> None:
        """Take answers; `done` ends the server."""
        if self.path not in self.page.takers:
            self._send(404, "text/plain", "There is nothing here.")
            return
        try:
            body = self._body()
            with self.page.one_at_a_time:
                reply = self.page.takers[self.path](body)
        except (UserError, ValueError) as error:
            self._send(400, "text/plain", str(error))
            return
        self._send(200, "application/json", json.dumps(reply))
        if self.path.endswith("done"):
            self.page.done.set()

    def _body(self) -> Any:
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 < length <= LONGEST:
            raise ValueError(f"A request must have 1 to {LONGEST:,} bytes, got {length:,}.")
        return json.loads(self.rfile.read(length))

    def _send(self, code: int, kind: str, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        self.send_response(code)
        for name, value in (
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(data))),
            ("Content-Security-Policy", POLICY),
            ("Cache-Control", "no-store"),
        ):
            self.send_header(name, value)
        self.end_headers()
        with suppress(ConnectionError):  # the page was closed meanwhile
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Leave the terminal to the person."""
