"""A headless Chromium that is driven over its debugging socket: pages opened, clicked, typed into and photographed."""

import base64
import json
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

LIMIT_SECONDS = 300
SWITCHES = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0")


class Page:
    """One tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket, self.numbers = socket, count(1)
        self.send("Page.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; events in between are passed over."""
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv(timeout=LIMIT_SECONDS))
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return dict(message["result"])

    def run(self, script: str) -> Any:
        """Return what a line of JavaScript gives in the page."""
        return self.send("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def size(self, width: int, height: int) -> None:
        """Give the tab another size, in pixels."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, url: str, until: str) -> None:
        """Open a page and wait until it shows a text."""
        self.send("Page.navigate", url=url)
        self.shows(until)

    def shows(self, text: str) -> None:
        """Wait until the page shows a text. Raises TimeoutError, with what it shows instead."""
        self.holds(f"document.body && document.body.innerText.includes({json.dumps(text)})", text)

    def holds(self, script: str, what: str) -> None:
        """Wait until a condition holds in the page."""
        end = time.monotonic() + LIMIT_SECONDS
        while not self.run(script):
            if time.monotonic() > end:
                raise TimeoutError(f"{what!r} in vain; the page says: {self.run('document.body.innerText')}")
            time.sleep(0.2)

    def click(self, text: str, nth: int = 0, tag: str = "*") -> None:
        """Click the innermost element whose text this is."""
        script = (
            f"(() => {{ const all = [...document.querySelectorAll({json.dumps(tag)})].filter(one => "
            f"one.innerText && one.innerText.trim() === {json.dumps(text)} && one.getClientRects().length);"
            f"const inner = all.filter(one => !all.some(other => other !== one && one.contains(other)));"
            f"const it = inner[{nth}]; if (!it) return false; it.scrollIntoView({{block: 'center'}});"
            "const box = it.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        self.holds(f"!!{script}", f"click {text}")
        x, y = self.run(script)
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def photograph(self, file: Path) -> None:
        """Write what the tab shows as a PNG."""
        time.sleep(1)  # pictures are drawn and panels slide in
        file.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def browser(program: str = "chromium") -> Iterator[Page]:
    """A tab of a browser of its own, which ends with the block."""
    with tempfile.TemporaryDirectory() as profile:
        command = [program, *SWITCHES, f"--user-data-dir={profile}", "about:blank"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                port_file = Path(profile) / "DevToolsActivePort"
                end = time.monotonic() + LIMIT_SECONDS
                while not (port_file.exists() and port_file.read_text().count("\n")):
                    if time.monotonic() > end:
                        raise TimeoutError(f"{program} does not start")
                    time.sleep(0.1)
                port = port_file.read_text().split()[0]
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
                    [tab, *_] = [one for one in json.load(answer) if one["type"] == "page"]
                with connect(tab["webSocketDebuggerUrl"], max_size=None) as socket:
                    yield Page(socket)
            finally:
                process.terminate()
                process.wait(LIMIT_SECONDS)
