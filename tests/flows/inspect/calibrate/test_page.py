"""The page of a calibration, asked by a real HTTP client: it keeps every answer, takes no others, and ends."""

import itertools
import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import encoded, picture
from looked_at import publish

from curation.publish.lineage import Lineage
from flows.inspect.calibrate.answers import Calibration, prepared
from flows.inspect.calibrate.calibrate import calibrate
from flows.inspect.calibrate.page import render
from flows.inspect.calibrate.pairs import pair_id
from flows.inspect.calibrate.server import served
from shared.catalog import VERIFIED
from shared.errors import UserError
from shared.tables import commit_part
from tests.waiting import started, until

ROOT = Path(__file__).parents[4]
COPIES_FROM = 1.03


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose pairs have invented scores, evenly from 0.5 to 1.18."""
    root = tmp_path_factory.mktemp("calibrate")
    for i in range(20):
        path = root / "photos" / f"{i:02}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded(picture(i)))
    dataset = publish(root / "photos", root / "w")
    verified = Lineage.of(prepared_store(root / "w"), dataset).rows("verify")
    assert verified is not None
    pairs = list(itertools.combinations(sorted(str(path) for path in (root / "photos").iterdir()), 2))
    scores = [0.5 + 0.68 * i / len(pairs) for i in range(len(pairs))]
    one, other = zip(*pairs, strict=True)
    columns = {"uri": one, "other_uri": other, "score": scores, "verdict": ["copy"] * len(pairs)}
    rows = pa.table({name: columns.get(name, pa.nulls(len(pairs))) for name in VERIFIED.schema.names})
    table = rows.cast(VERIFIED.schema)
    invented = tuple(
        commit_part(verified.store, "verify", table if place == 0 else table.slice(0, 0), part.name)
        for place, part in enumerate(verified.output.parts)
    )
    replace(verified.output, parts=invented).seal(verified.store, {})
    return root / "w"


def prepared_store(workspace: Path) -> Any:
    from shared.storage import Store

    return Store(str(workspace))


def truth(one: Calibration) -> dict[str, bool]:
    return {pair_id(one.strata.pairs[place]): bool(one.strata.scores[place] >= COPIES_FROM) for place in one.asked}


def send(url: str, body: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, method="POST"), timeout=20) as answer:
        return json.loads(answer.read())


def refused(url: str, body: Any = None) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as error:
        send(url, body) if body is not None else urllib.request.urlopen(url, timeout=20)
    return error.value.code, error.value.read().decode()


def test_a_person_answers_in_a_browser_and_the_terminal_says_what_came_of_it(workspace: Path) -> None:
    command = [sys.executable, "-u", "-m", "flows.cli", "calibrate", str(workspace), "--precision", "0.95"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    lines: list[str] = []
    with started(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()), daemon=True)
        reader.start()
        try:
            until(lambda: process.poll() is not None or any("http://" in line for line in lines), "no address")
            address = next(match[0] for line in lines if (match := re.search(r"http://127\.0\.0\.1:\d+/\S+/", line)))
            with urllib.request.urlopen(address, timeout=20) as answer:
                html = answer.read().decode()
                assert "connect-src 'self'" in answer.headers["Content-Security-Policy"]
            data = json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1])  # type: ignore[index]
            assert len(data["pairs"]) == 30
            pictures = [pair[side]["picture"] for pair in data["pairs"] for side in ("one", "other")]
            assert all(one.startswith("data:image/jpeg") for one in pictures)
            assert all(pair.keys() == {"id", "one", "other"} for pair in data["pairs"]), "a score would sway a person"
            right, answers = truth(prepared(str(workspace), None, 30, 0.95)), {}
            for pair in data["pairs"]:
                answers[pair["id"]] = right[pair["id"]]
                told = send(f"{address}answers", {"calibration": data["calibration"], "answers": answers})
            assert told["answers"] == 30
            send(f"{address}done", {"calibration": data["calibration"], "answers": answers})
            assert process.wait(60) == 0
        finally:
            process.kill()
        reader.join(20)
    said = "".join(lines)
    assert "30 answers: " in said
    assert re.search(r"1\.03 +\d+  1\.00 \(0\.\d\d to 1\.00\)  1\.00", said)
    assert "--set curation.dedup.near.threshold=1.03" in said
    kept = json.loads(next((workspace / "calibration").iterdir()).read_text())
    assert kept["answers"] == answers


def test_answers_are_kept_one_by_one_and_the_page_goes_on_where_it_was(workspace: Path) -> None:
    one = prepared(str(workspace), None, 12, 0.99)
    first, second = (pair_id(pair) for pair in one.pairs[:2])
    with served("<p>page</p>", one.keep, one.finish, 0) as (address, done):
        send(f"{address}answers", {"calibration": one.key, "answers": {first: True}})
        send(f"{address}answers", {"calibration": one.key, "answers": {first: True, second: None}})
        assert not done.is_set()
        assert one.kept() == {first: True, second: None}
        told = send(f"{address}done", {"calibration": one.key, "answers": {first: True, second: None}})
        assert done.wait(30)
    assert told["answers"] == 1, "what a person cannot tell says nothing"
    html = render("pets", one.key, one.pairs, dict.fromkeys(itertools.chain(*one.pairs), "data:,"), one.kept(), True)
    assert f'"{first}": true' in html


def test_what_is_no_answer_of_this_page_is_refused_in_words(workspace: Path) -> None:
    one = prepared(str(workspace), None, 8, 0.99)
    mine = pair_id(one.pairs[0])
    with served("<p>page</p>", one.keep, one.finish, 0) as (address, done):
        secret = address.rsplit("/", 2)[1]
        outside = address.replace(secret, "guess")
        assert refused(outside)[0] == 404
        assert refused(f"{outside}done", {"calibration": one.key, "answers": {}})[0] == 404
        for body, words in (
            ({"calibration": "else", "answers": {}}, "got some of else"),
            ({"calibration": one.key, "answers": {"nobody": True}}, "got nobody: True"),
            ({"calibration": one.key, "answers": {mine: "yes"}}, f"got {mine}: yes"),
            ([1], "needs answers as its page writes them"),
            (b"{", "Expecting"),
        ):
            code, said = refused(f"{address}done", body)
            assert (code, words in said) == (400, True), said
        assert not done.is_set()
    assert not one.store.exists(one.path)


def test_a_port_that_is_taken_is_refused_by_its_number() -> None:
    with served("", dict, dict, 0) as (address, _):
        port = int(address.split(":")[2].split("/")[0])
        with pytest.raises(UserError, match=f"got {port} "), served("", dict, dict, port):
            pass


def test_a_page_in_a_file_is_answered_elsewhere_and_its_answers_are_read(workspace: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    facts = calibrate(str(workspace), None, 30, 0, str(page), None, 0.95, True)
    assert facts == {"page": str(page), "pairs": 30}
    data = json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(), re.DOTALL)[1])  # type: ignore[index]
    assert data["served"] is False
    one = prepared(str(workspace), None, 30, 0.95)
    file = tmp_path / "answers.json"
    file.write_text(json.dumps({"calibration": data["calibration"], "answers": truth(one)}))
    assert calibrate(str(workspace), None, 30, 0, None, str(file), 0.95, True)["proposed"] == COPIES_FROM
    with pytest.raises(UserError, match=r"changed since. Draw the page again"):
        calibrate(str(workspace), None, 20, 0, None, str(file), 0.95, True)
    file.write_text("{")
    with pytest.raises(UserError, match="--answers needs the file that the page wrote, got"):
        calibrate(str(workspace), None, 30, 0, None, str(file), 0.95, True)


def test_a_name_cannot_break_out_of_the_page() -> None:
    pair = ("/a</script><script>alert(1)</script>.jpg", "/b\n\x1b.jpg")
    html = render("pets", "key", [pair], dict.fromkeys(pair, "data:,"), {}, True)
    assert "<script>alert" not in html
    assert "\x1b" not in html


def test_without_compared_pairs_there_is_nothing_to_ask(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / "photos").mkdir(exist_ok=True)
        (tmp_path / f"photos/{i}.jpg").write_bytes(encoded(picture(i)))
    publish(tmp_path / "photos", tmp_path / "w")
    with pytest.raises(UserError, match=r"needs 4 pairs near the limit 1, got 0 of the \d"):
        prepared(str(tmp_path / "w"), None, 30, 0.99)
    publish(tmp_path / "photos", tmp_path / "off", dedup={"near": {"enabled": False}})
    with pytest.raises(UserError, match=r"was curated without: curation.dedup.near must be on"):
        prepared(str(tmp_path / "off"), None, 30, 0.99)
