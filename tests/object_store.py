"""An S3 server on loopback, in this process: it may be asked to tell of every request, before and after it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

from tests.ports import free_port

LIMIT_SECONDS = 60.0
Watch = Callable[[str, str, bool], None]
"""Gets the method and the path of a request, and whether it is done."""


def client_settings(port: int) -> dict[str, str]:
    """Return the environment that clients of a server on loopback need."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


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

    port = free_port()
    server = make_server("127.0.0.1", port, app, threaded=True)
    server.log_request = lambda *_: None  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield client_settings(port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(LIMIT_SECONDS)
