"""A Prefect server's HTTP interface, as its pages use it."""

import json
import time
import urllib.error
import urllib.request
from base64 import b64encode
from typing import Any

from tests.waiting import LIMIT_SECONDS


class Api:
    """The server's HTTP interface, as a browser uses it."""

    def __init__(self, port: int, password: str = "") -> None:
        """Take user:password where the server asks for one."""
        self.url = f"http://127.0.0.1:{port}/api"
        login = {"Authorization": f"Basic {b64encode(password.encode()).decode()}"} if password else {}
        self.headers = {"Content-Type": "application/json"} | login

    def call(self, method: str, path: str, body: Any = None) -> bytes:
        """Send a request; a server that is busy (503) is asked again, as Prefect's own client does."""
        data = None if body is None else json.dumps(body).encode()
        for again in range(20):
            request = urllib.request.Request(self.url + path, data, self.headers, method=method)
            try:
                with urllib.request.urlopen(request, timeout=LIMIT_SECONDS) as answer:
                    return bytes(answer.read())
            except urllib.error.HTTPError as error:
                if error.code != 503 or again == 19:
                    raise
                time.sleep(0.5)
        raise AssertionError

    def post(self, path: str, body: Any = None) -> Any:
        return json.loads(self.call("POST", path, body or {}))

    def patch(self, path: str, body: Any) -> None:
        self.call("PATCH", path, body)

    def get(self, path: str) -> Any:
        return json.loads(self.call("GET", path))

    def deployments(self) -> dict[str, Any]:
        names = {flow["id"]: flow["name"] for flow in self.post("/flows/filter")}
        return {f"{names[d['flow_id']]}/{d['name']}": d for d in self.post("/deployments/filter")}

    def wait(self, run: str) -> Any:
        for _ in range(600):
            found = self.get(f"/flow_runs/{run}")
            if found["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                return found
            time.sleep(0.5)
        raise TimeoutError(found["state_name"])
