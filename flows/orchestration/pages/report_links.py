"""The way to a report from any machine: where the server shows it, and the link that an artifact has to it.

Prefect reads its settings when it is imported, and `serve` asks here before it knows its server: Prefect stays out.
"""

import json
import os
import re
from collections.abc import Iterable
from hashlib import sha256
from urllib.parse import quote

from shared.errors import UserError
from shared.images.file_names import absolute
from shared.storage import Store
from shared.storage.credentials import withheld

SERVED = "DINOFLOW_REPORTS"
"""In the environment of a server and of the flows that link to it: the workspaces whose reports it shows, in JSON."""
ROOT = "/reports/"
"""Below the address of the pages."""


def served_workspaces() -> dict[str, Store]:
    """Return the workspaces whose reports are shown, by what they are called there. Raises UserError."""
    text = os.environ.get(SERVED) or "[]"
    try:
        urls = json.loads(text)
    except ValueError:
        urls = None
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise UserError(f'{SERVED} needs a JSON list of workspaces, as ["/data/work"], got {text}. Mend it.')
    return named_workspaces(urls)


def named_workspaces(urls: Iterable[str]) -> dict[str, Store]:
    """Return workspaces by what they are called below /reports/."""
    stores = [Store(withheld(absolute(url))) for url in urls]
    return {_called(store): store for store in stores}


def serve_reports_of(urls: Iterable[str]) -> None:
    """From now on a server that this process starts shows these workspaces' reports, and its flows link to them."""
    stores = served_workspaces() | named_workspaces(urls)
    os.environ[SERVED] = json.dumps(sorted(store.url for store in stores.values()))


def report_line(store: Store, *names: str) -> str:
    """Return a line of Markdown that leads to a report of a workspace: by a link where the server shows it."""
    place = f"`{store.place(*names)}`"
    if store.url.rstrip("/") not in {one.url.rstrip("/") for one in served_workspaces().values()}:
        return f"Report: {place}"
    return f"[Open the report]({quote('/'.join([ROOT + _called(store), *names]))}), which is {place}."


def called(store: Store) -> tuple[str, str]:
    """Return the last folder of a workspace's place, fit for a link, and what tells it from others of that name."""
    url = store.url.rstrip("/")
    return re.sub(r"[^\w.-]", "-", url.rpartition("/")[2]), sha256(url.encode()).hexdigest()[:6]


def _called(store: Store) -> str:
    return "-".join(called(store))
