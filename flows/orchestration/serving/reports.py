"""Shows the reports of workspaces beside Prefect's pages, to whoever knows the password; nothing else of them."""

import asyncio
import re
import secrets
from base64 import b64encode
from collections.abc import Mapping

from flows.orchestration.pages.report_links import ROOT
from flows.orchestration.serving.asgi import App, Message, Receive, Send, respond
from shared.storage import Store

REPORT = re.compile(r"(report\.html|datasets/[^/]+/[^/]+/report\.html|(runs|ablations)/[^/]+/report\.html)")
"""Every page that there is; no other name is read."""
ASK = {"www-authenticate": 'Basic realm="dinoflow"'}
PAGE_HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-cache",
    # A report is one file without scripts: whatever else should get into one is not run.
    "content-security-policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}


class Reports:
    """Answers what lies below /reports/; hands on the rest."""

    def __init__(self, app: App, workspaces: Mapping[str, Store], password: str) -> None:
        """Take the application, what is shown by its name there, and user:password or nothing."""
        self.app, self.workspaces = app, workspaces
        self.login = f"Basic {b64encode(password.encode()).decode()}" if password else ""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or not scope["path"].startswith(ROOT):
            await self.app(scope, receive, send)
        elif not self._may(scope):  # the browser asks for it
            await respond(send, 401, "dinoflow serve: a password is needed.", ASK)
        elif scope["method"] not in ("GET", "HEAD"):
            await respond(send, 405, "dinoflow serve: reports are only read.", {"allow": "GET, HEAD"})
        else:
            page = await asyncio.to_thread(self._page, scope["path"].removeprefix(ROOT))
            if page is None:
                await respond(send, 404, "dinoflow serve: there is no such report.")
            else:
                await respond(send, 200, b"" if scope["method"] == "HEAD" else page, PAGE_HEADERS)

    def _may(self, scope: Message) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        return not self.login or secrets.compare_digest(given, self.login.encode())

    def _page(self, path: str) -> bytes | None:
        workspace, _, name = path.partition("/")
        store = self.workspaces.get(workspace)
        if store is None or not REPORT.fullmatch(name) or {".", ".."} & set(name.split("/")) or "\0" in name:
            return None
        try:
            return store.read(name)
        except FileNotFoundError:
            return None
