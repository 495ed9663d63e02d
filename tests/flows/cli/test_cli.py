"""The command line as a person meets it: its words and exit code, as a process once for each command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from conftest import encoded, picture

from shared.launch.stop_signals import REQUEUE
from tests.command_line import dinoflow, process_alone_of, process_of
from tests.prefect_home import furnished
from tests.waiting import ended, started, until

ROOT = Path(__file__).parents[3]


def test_help_teaches_every_command_without_importing_what_works():
    told = process_of("--help")
    assert told.returncode == 0
    for command in (
        "run",
        "curate",
        "index",
        "measure",
        "quality",
        "verify",
        "dedup",
        "balance",
        "select",
        "pack",
        "pretrain",
        "export",
        "status",
        "calibrate",
        "serve",
        "deploy",
    ):
        assert f" {command} " in told.stdout
    code = "import sys, flows.cli; print(sorted({'torch', 'prefect', 'pyarrow', 'numpy', 'faiss'} & set(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert loaded.stdout == "[]\n"


def test_a_stage_teaches_its_parameters():
    told = dinoflow("dedup", "--help").stdout
    assert "near.candidates.nearest = None" in told
    assert "candidates are compared pixel by pixel" in told
    assert "--set curation.dedup.KEY=VALUE" in told


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["bogus"], "Unknown command"),
        (["run", "laptop", "--bogus"], "Unknown option"),
        (["run", "lapdog"], "There is no recipe 'lapdog'"),
        (["curate", "laptop"], "Name a folder or URL with --source"),
        (["curate", "laptop", "--source", "/nowhere/at/all"], "The source /nowhere/at/all does not exist"),
        (["measure", "laptop", "--set", "compute.workers=many"], "compute.workers"),
        (["explain", "/nowhere/at/all", "x"], "There is no workspace"),
        (["datasets", "/nowhere/at/all"], "There is no workspace"),
        (["pretrain", "laptop", "--workspace", "EMPTY"], "is not published"),
    ],
)
def test_a_wrong_request_ends_with_2_and_a_sentence(words, complaint, tmp_path):
    (tmp_path / "empty").mkdir()
    told = dinoflow(*(str(tmp_path / "empty") if word == "EMPTY" else word for word in words))
    assert told.returncode == 2
    assert complaint in told.stderr + told.stdout
    assert "Traceback" not in told.stderr


def test_an_empty_folder_and_a_workspace_in_the_way_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    told = process_of("index", "laptop", "--source", tmp_path / "empty", "--workspace", tmp_path / "w")
    assert (told.returncode, "holds none" in told.stderr) == (2, True)
    told = dinoflow("index", "laptop", "--source", tmp_path / "empty", "--workspace", tmp_path / "file")
    assert (told.returncode, "must be writable" in told.stderr) == (2, True)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A workspace with a published dataset, made by the one command `pack`."""
    root = tmp_path_factory.mktemp("cli")
    for i in range(20):
        path = root / "photos" / f"{i}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded(picture(i)))
    (root / "photos/copy.jpg").write_bytes(encoded(picture(3)))
    (root / "photos/half.jpg").write_bytes(encoded(picture(4))[:900])
    told = process_of(
        "pack", "laptop", "--source", root / "photos", "--workspace", root / "w", "--name", "pets", "--json"
    )
    assert told.returncode == 0, told.stderr
    return root, json.loads(told.stdout)


def test_json_is_one_object_with_the_facts(packed):
    _, facts = packed
    assert facts["version"] == "v0001"
    assert facts["counts"]["indexed"] == 22
    assert facts["counts"]["reasons"] == {"exact_duplicate": 1, "unreadable": 1}
    assert Path(facts["path"], "report.html").is_file()
    assert facts["seconds"] > 0


def test_one_stage_runs_alone_and_says_where_its_table_is(packed):
    root, _ = packed
    told = process_of("quality", "laptop", "--source", root / "photos", "--workspace", root / "w")
    assert told.returncode == 0
    assert "Nothing is left to do" in told.stdout
    assert Path(told.stdout.split("Table: ")[1].strip()).is_file()


@pytest.mark.parametrize("command", ["curate", "pack", "verify"])
def test_where_nothing_is_new_a_command_says_so_and_starts_neither_prefect_nor_a_process(packed, command):
    root, _ = packed
    told = process_alone_of(command, "laptop", "--source", root / "photos", "--workspace", root / "w", "--name", "pets")
    assert told.returncode == 0, told.stderr
    assert "Nothing is left to do" in told.stdout


def test_explain_tells_why_in_words_and_as_one_object(packed):
    root, _ = packed
    told = process_of("explain", root / "w", "photos/half.jpg", cwd=root)
    assert "unreadable, found by measure" in told.stdout
    facts = json.loads(dinoflow("explain", root / "w", root / "photos/3.jpg", "--json").stdout)
    assert facts["seen"][0]["source"] == "photos"
    unknown = dinoflow("explain", root / "w", root / "photos/99.jpg")
    assert (unknown.returncode, "the beginning of its id" in unknown.stderr) == (2, True)


def test_datasets_lists_and_a_flipped_byte_is_found(packed):
    root, facts = packed
    assert "pets/v0001" in process_of("datasets", root / "w").stdout
    assert dinoflow("datasets", root / "w", "verify", "pets/v0001").returncode == 0
    shard = next(Path(facts["path"], "shards").glob("*.tar"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    told = process_of("datasets", root / "w", "verify", "v0001", "--json")
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    assert told.returncode == 1
    assert shard.name in told.stderr
    assert len(json.loads(told.stdout)["damaged"]) == 1


def test_a_version_differs_from_itself_in_nothing_and_needs_another_to_differ_from(packed):
    root, _ = packed
    assert "nothing changed" in dinoflow("datasets", root / "w", "diff", "v0001", "pets/v0001").stdout
    lone = dinoflow("datasets", root / "w", "diff", "v0001")
    assert (lone.returncode, "diff needs two versions" in lone.stderr) == (2, True)


def test_report_draws_the_page_and_the_reports_that_were_deleted(packed):
    root, facts = packed
    Path(facts["path"], "report.html").unlink()
    assert process_of("report", root / "w").returncode == 0
    assert Path(facts["path"], "report.html").is_file()
    assert 'href="datasets/pets/v0001/report.html"' in (root / "w/report.html").read_text()


@pytest.mark.parametrize(
    "words", [("--source", "s3://nobody/x"), ("--source", "PHOTOS", "--workspace", "s3://nobody/w")]
)
def test_an_object_store_without_credentials_is_a_message_and_no_traceback(words, photos, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    words = [str(photos(2)) if word == "PHOTOS" else word for word in words]
    told = process_of("curate", "laptop", *words)  # a client without credentials would stay in this one
    assert told.returncode == 1
    assert "NoCredentialsError: Unable to locate credentials. Check the URL" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_command_that_is_told_to_stop_leaves_no_server_behind(photos, tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    environment |= {"PYTHONPATH": str(ROOT), "PREFECT_HOME": str(furnished(tmp_path / "prefect"))}
    command = [sys.executable, "-m", "flows.cli", "curate", "laptop", "--source", str(photos(40)), "--workspace"]
    log = tmp_path / "log"  # a file, not a pipe: a server left behind would hold a pipe open
    with (
        log.open("w") as output,
        started([*command, tmp_path / "w"], cwd=ROOT, env=environment, stdout=output) as process,
    ):
        until(lambda: process.poll() is not None or "index" in log.read_text(), "curation did not begin")
        children = psutil.Process(process.pid).children()
        servers = [child.pid for child in children if any("guarded_server" in word for word in child.cmdline())]
        process.terminate()
        assert process.wait(60) == REQUEUE
    assert servers
    assert all(ended(server) for server in servers)
