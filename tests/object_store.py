"""An S3 server on loopback, in this process: it may be asked to tell of every request, before and after it."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

LIMIT_SECONDS = 60.0
Watch = Callable[[str, str, bool], None]
"""Gets the method and the path of a request, and whether it is done."""


@contextmanager
def serving(watch: Watch = lambda method, path, done: None) -> Iterator[dict[str, str]]:
    """Serve an empty bucket; give the environment that its clients need."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    moto = DomainDispatcherApplication(create_backend_app)

    def app(environ: dict[str, Any], respond: Any) -> Any:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        watch(method, path, False)
        answer = list(moto(environ, respond))
        watch(method, path, True)
        return answer

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = make_server("127.0.0.1", port, app, threaded=True)
    server.log_request = lambda *_: None  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        yield settings
    finally:
        server.shutdown()
        server.server_close()
        thread.join(LIMIT_SECONDS)
