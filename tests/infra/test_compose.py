"""The containers: a real tool reads the compose file, no secret stands in it, and nothing of ours runs as root."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.orchestration.serving.server_settings import SETTINGS
from tests.parsed import ROOT

FOLDER = ROOT / "infra/compose"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("dinoflow:")]
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
PROFILES = [word for profile in ("gpu", "store") for word in ("--profile", profile)]
OTHERWISE = {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"}
"""What a server beside Redis says otherwise than one by itself."""
SECRET = re.compile(r"PASSWORD|SECRET|ACCESS_KEY|AUTH")


def command() -> list[str]:
    """What reads compose files here: Docker's own plug-in, or Debian's docker-compose; no daemon is needed."""
    plugin = ["docker", "compose"]
    if shutil.which("docker") and not subprocess.run([*plugin, "version"], capture_output=True, timeout=60).returncode:
        return plugin
    return ["docker-compose"] if shutil.which("docker-compose") else []


def config(env_file: Path) -> subprocess.CompletedProcess[str]:
    words = [*command(), "-f", str(FOLDER / "compose.yaml"), "--env-file", str(env_file), *PROFILES, "config"]
    return subprocess.run(words, capture_output=True, text=True, timeout=120)


def filled(folder: Path) -> Path:
    """The example, with something in every line that is empty."""
    lines = (FOLDER / ".env.example").read_text()
    (folder / ".env").write_text(re.sub(r"^(\w+)=$", r"\1=/filled", lines, flags=re.MULTILINE))
    return folder / ".env"


@pytest.mark.skipif(not command(), reason="needs docker compose or Debian's docker-compose")
def test_compose_takes_the_file_once_the_example_is_filled_and_asks_for_what_is_missing(tmp_path):
    taken = config(filled(tmp_path))
    assert taken.returncode == 0, taken.stderr
    read = yaml.safe_load(taken.stdout)["services"]
    assert set(read) == set(SERVICES)
    assert read["prefect-server"]["environment"]["PREFECT_SERVER_API_AUTH_STRING"] == "dinoflow:/filled"
    assert "127.0.0.1:4200" in str(read["prefect-server"]["ports"])
    missing = config(FOLDER / ".env.example")
    assert missing.returncode
    assert "set it in .env" in missing.stderr


def test_secrets_are_references_and_the_example_has_none():
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if SECRET.search(key) and not key.endswith("ORDERING"):
                assert re.fullmatch(r"(dinoflow:)?\$\{\w+:[?-][^}]*\}", value), (name, key)
        for url in re.findall(r"://[^@\s]*:(\S+)@", str(service)):
            assert url.startswith("${"), (name, url)
    example = dict(re.findall(r"^(\w+)=(.*)$", (FOLDER / ".env.example").read_text(), re.MULTILINE))
    assert {value for key, value in example.items() if SECRET.search(key)} == {""}
    named = set(re.findall(r"\$\{(\w+)", (FOLDER / "compose.yaml").read_text()))
    assert named - {"AWS_ENDPOINT_URL"} == set(example)


def test_our_containers_run_as_a_user_without_rights_from_the_proven_versions():
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE) == ["dinoflow"]
    last = DOCKERFILE.rindex("USER dinoflow")
    assert "RUN" not in DOCKERFILE[last:]
    assert "COPY" not in DOCKERFILE[last:]
    installs = re.findall(r"^RUN pip install.*$", DOCKERFILE, re.MULTILINE)
    assert installs
    assert all("-c infra/constraints.txt" in line for line in installs)
    for name in OURS:
        assert SERVICES[name]["cap_drop"] == ["ALL"], name
        assert "user" not in SERVICES[name]
        assert SERVICES[name].get("build", {}).get("dockerfile") in (None, "infra/compose/Dockerfile")


def test_every_service_says_whether_it_is_well():
    assert [name for name, service in SERVICES.items() if "healthcheck" not in service] == []


def test_the_server_is_our_guarded_one_and_repeats_no_setting_that_it_sets_itself():
    server = SERVICES["prefect-server"]
    assert importlib.util.find_spec(server["command"][server["command"].index("-m") + 1])
    assert "guarded_server" in str(server["command"])
    assert not SETTINGS.items() & server["environment"].items()
    assert SETTINGS.keys() & server["environment"].keys() == OTHERWISE


def test_the_image_holds_every_package_and_what_they_are_installed_by():
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    for place in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE):
        for word in place.split():
            assert (ROOT / word).exists()
            assert f"!{word}" in ignored
