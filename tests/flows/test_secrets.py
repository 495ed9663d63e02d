"""Passwords and tokens of URLs open what they should, and stand in nothing that is stored or told."""

import base64
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import encoded, picture

from shared.errors import UserError, WorkFailedError
from shared.errors.secrets import parted, redacted
from shared.storage.credentials import LISTS, SECRETS, located, withheld
from tests.prefect_home import furnished
from tests.waiting import LIMIT_SECONDS

LOGIN, PASSWORD, TOKENS = "ann", "pa55-of-ann", [f"t0ken-{i}" for i in range(4)]
HIDDEN = [PASSWORD, base64.b64encode(f"{LOGIN}:{PASSWORD}".encode()).decode(), *TOKENS]


class Guarded(SimpleHTTPRequestHandler):
    """Serves private/ to whoever logs in, signed/ to whoever has the token of the very file."""

    def send_head(self):  # type: ignore[no-untyped-def]
        place, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        basic = base64.b64encode(f"{LOGIN}:{PASSWORD}".encode()).decode()
        if place.startswith("/private") and self.headers.get("Authorization") != f"Basic {basic}":
            return self.send_error(401)
        if place.startswith("/signed") and query.get("token") != [f"t0ken-{Path(place).stem}"]:
            return self.send_error(403)
        return super().send_head()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    for folder in ("private", "signed"):
        (tmp_path / "site" / folder).mkdir(parents=True)
        for i in range(4):
            seed = i + 10 * (folder == "signed")
            (tmp_path / "site" / folder / f"{i}.jpg").write_bytes(encoded(picture(seed)))
    (tmp_path / "site/private/broken.jpg").write_bytes(b"no image")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Guarded, directory=str(tmp_path / "site")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()


def dinoflow(
    *arguments: object, seconds: float = LIMIT_SECONDS, **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.cli", *map(str, arguments)]
    variables = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=variables, check=False)


def stored(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file, tables also as the text of their cells and footers."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()
            if path.suffix == ".parquet":
                table = pq.read_table(path)
                cells = [
                    table[name].cast(pa.string()).to_pylist() for name in table.column_names if _is_text(table, name)
                ]
                yield path, repr((cells, table.schema.metadata)).encode()


def _is_text(table: pa.Table, name: str) -> bool:
    kind = table.schema.field(name).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind))


def leaks(folder: Path) -> list[str]:
    return [f"{path}: {word}" for path, data in stored(folder) for word in HIDDEN if word.encode() in data]


SMALL = ("--set", "curation.dedup.near=off", "--set", "compute.workers=1", "--name", "pets")


def test_a_curation_from_guarded_places_stores_no_secret_and_reads_every_image(site: str, tmp_path: Path) -> None:
    links = tmp_path / "links.txt"
    links.write_text("\n".join(f"http://{site}/signed/{i}.jpg?token={TOKENS[i]}" for i in range(4)))
    request = ("pack", "laptop", "--source", links, "--workspace", tmp_path / "w", *SMALL)
    done = dinoflow(*request, "--source", f"http://{LOGIN}:{PASSWORD}@{site}/private/")
    assert done.returncode == 0, done.stderr + done.stdout
    (info,) = (tmp_path / "w/datasets/pets").glob("v0001/dataset.json")
    assert json.loads(info.read_text())["counts"]["kept"] == 8
    assert leaks(tmp_path / "w") == []
    assert [word for word in HIDDEN if word in done.stdout + done.stderr] == []
    known = json.dumps({f"http://{site}/": f"{LOGIN}:{PASSWORD}"})
    again = dinoflow(*request, "--source", f"http://{site}/private/", "--json", DINOFLOW_SECRETS=known)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["new"] is False  # the same places, known by the same names


def test_prefect_is_told_no_secret(site: str, tmp_path: Path) -> None:
    request = ("curate", "laptop", "--workspace", tmp_path / "w", *SMALL)
    done = dinoflow(
        *request,
        *("--source", f"http://{LOGIN}:{PASSWORD}@{site}/private/"),
        seconds=5 * LIMIT_SECONDS,
        PREFECT_HOME=str(furnished(tmp_path / "prefect")),
    )
    assert done.returncode == 0, done.stderr + done.stdout
    database = b"".join(path.read_bytes() for path in (tmp_path / "prefect").glob("prefect.db*"))
    assert f"http://{site}/private/".encode() in database
    assert leaks(tmp_path / "prefect") == []


def test_errors_about_guarded_places_name_them_without_their_secrets(site: str, tmp_path: Path) -> None:
    wrong = f"http://{LOGIN}:wr0ng@{site}/private/"
    done = dinoflow("index", "laptop", "--source", wrong, "--workspace", tmp_path / "w")
    assert done.returncode != 0
    assert "wr0ng" not in done.stderr + done.stdout
    assert f"{site}/private" in done.stderr
    assert "Traceback" not in done.stderr
    done = dinoflow("index", "laptop", "--source", "s3://key:s3cret@bucket.invalid/x", "--workspace", tmp_path / "w",
                    AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1")  # fmt: skip
    assert done.returncode != 0
    assert "s3cret" not in done.stderr + done.stdout
    assert "bucket.invalid" in done.stderr


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("http://ann:p%40w@host/a.jpg", "http://host/a.jpg"),
        ("s3://key:sec/ret@bucket", "s3://key:sec/ret@bucket"),  # a slash ends the host: such a key is written %2F
        ("s3://key:sec%2Fret@bucket/x", "s3://bucket/x"),
        ("https://h/a.jpg?id=5&token=x&w=2#f", "https://h/a.jpg?id=5&w=2#f"),
        ("https://h/a.jpg?X-Amz-Credential=c&X-Amz-Signature=s", "https://h/a.jpg"),
        ("https://h/c?sv=2024&sig=abc", "https://h/c?sv=2024"),
        ("https://h/a@b:c/d.jpg?page=2", "https://h/a@b:c/d.jpg?page=2"),
        ("s3://bucket/what?token=1.jpg", "s3://bucket/what?token=1.jpg"),
        ("/photos/a:b@c.jpg", "/photos/a:b@c.jpg"),
        ("sftp://ann@host/x", "sftp://ann@host/x"),
    ],
)
def test_a_url_is_stored_without_what_is_secret_in_it_and_with_all_else(url: str, plain: str) -> None:
    assert parted(url).url == plain
    assert redacted(f"Look at '{url}'") == f"Look at '{plain}'"


def test_what_was_withheld_opens_that_place_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SECRETS, raising=False)
    monkeypatch.delenv(LISTS, raising=False)
    assert withheld("http://ann:pw@host/photos/{a,b}/*.jpg") == "http://host/photos/{a,b}/*.jpg"
    assert located("http://host/photos/a/1.jpg")[0].client_kwargs["headers"] == {"Authorization": "Basic YW5uOnB3"}
    assert "headers" not in located("http://host/other/1.jpg")[0].client_kwargs
    assert "headers" not in located("http://host.evil/photos/a/1.jpg")[0].client_kwargs
    assert withheld("zip://*.jpg::https://cdn/all.zip?token=t") == "zip://*.jpg::https://cdn/all.zip"
    assert located("https://cdn/all.zip")[1] == "https://cdn/all.zip?token=t"
    withheld("s3://key:sec%2Fret@bucket/x")
    fs, _ = located("s3://bucket/x/1.jpg")
    assert (fs.key, fs.secret) == ("key", "sec/ret")


def test_damaged_secrets_are_a_mistake_with_a_name_that_tells_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRETS, "{hunter2")
    with pytest.raises(UserError, match="DINOFLOW_SECRETS needs a JSON object of URLs and their secrets") as error:
        located("http://host/x")
    assert "hunter2" not in str(error.value)


def test_no_error_of_ours_and_no_log_tells_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    from flows.orchestration.credentials import guard_logs

    assert str(WorkFailedError("no http://a:pw@host/x")) == "no http://host/x"
    factory = logging.getLogRecordFactory()
    try:
        guard_logs()
        try:
            raise OSError("404 for https://h/x?token=abc")
        except OSError:
            logging.getLogger("x").exception("at %s", "https://u:pw@h")
    finally:
        logging.setLogRecordFactory(factory)
        guard_logs.cache_clear()
    assert "abc" not in caplog.text
    assert "pw" not in caplog.text
    assert "404 for https://h/x" in caplog.text


@pytest.mark.slow
def test_a_prefect_block_opens_what_the_environment_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.blocks.system import Secret
    from prefect.testing.utilities import prefect_test_harness

    from flows.orchestration.credentials import BLOCK, fetch_secrets

    monkeypatch.setenv(SECRETS, "{}")
    with prefect_test_harness(server_startup_timeout=300):
        fetch_secrets()  # there is no block yet
        Secret(value=json.dumps({"http://vault": "ann:pw"})).save(BLOCK)
        fetch_secrets()
    assert located("http://vault/1.jpg")[0].client_kwargs["headers"] == {"Authorization": "Basic YW5uOnB3"}
