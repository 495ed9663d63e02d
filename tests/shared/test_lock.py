"""One at a time: who holds a lock is known, whoever waits is told, and the dead are not waited for."""

import json
import os
import threading
from dataclasses import asdict, replace

import pytest

from shared.storage import Store, lock, locked
from tests.publishers import CONTEXT, die_inside_of_a_lock
from tests.waiting import LIMIT_SECONDS, until

URLS = ("disk", "memory://locks")


@pytest.fixture(params=URLS)
def store(request, tmp_path) -> Store:
    return Store(str(tmp_path) if request.param == "disk" else f"{request.param}/{tmp_path.name}")


def holders(store: Store) -> list[str]:
    return store.names("locks/pets")


def test_of_many_at_once_one_is_inside(store, monkeypatch):
    monkeypatch.setattr(lock, "PAUSE_SECONDS", 0.01)
    inside, most, done = [], [], []

    def work() -> None:
        with locked(store, "pets", "publishing pets", lambda _: None):
            inside.append(1)
            most.append(len(inside))
            inside.pop()
        done.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_SECONDS)
    assert len(done) == 8
    assert set(most) == {1}
    assert holders(store) == []


def test_who_waits_is_told_once_for_whom(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "PAUSE_SECONDS", 0.01)
    store, said, entered = Store(str(tmp_path)), [], []

    def wait() -> None:
        with locked(store, "pets", "curating pets", said.append):
            entered.append(1)

    with locked(store, "pets", "publishing pets", said.append):
        thread = threading.Thread(target=wait)
        thread.start()
        until(lambda: said, "word of the holder")
        assert not entered
    thread.join(LIMIT_SECONDS)
    assert entered
    (line,) = said
    assert f"publishing pets, process {os.getpid()} on " in line


def test_the_lock_of_a_killed_process_is_taken_over_at_once(tmp_path):
    process = CONTEXT.Process(target=die_inside_of_a_lock, args=(str(tmp_path),))
    process.start()
    process.join(LIMIT_SECONDS)
    store = Store(str(tmp_path))
    assert holders(store) == ["000001.json"]
    said: list[str] = []
    with locked(store, "pets", "publishing pets", said.append):
        assert holders(store) == ["000002.json"]
    assert said == []


def elsewhere(beat: int) -> str:
    return json.dumps(asdict(replace(lock._myself("curating"), machine="another", beat=beat)))


def test_a_silent_holder_on_another_machine_is_dead_and_one_that_writes_is_not(store, monkeypatch):
    monkeypatch.setattr(lock, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(lock, "SILENT_SECONDS", 1.5)
    store.write("locks/pets/000004.json", elsewhere(0))
    said: list[str] = []
    entered = threading.Event()

    def wait() -> None:
        with locked(store, "pets", "publishing pets", said.append):
            entered.set()

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: said, "word of the holder")
    for beat in range(1, 20):
        store.write("locks/pets/000004.json", elsewhere(beat))
        assert not entered.wait(0.1)
    assert entered.wait(LIMIT_SECONDS)
    thread.join(LIMIT_SECONDS)
    assert holders(store) == []


def test_a_holder_shows_that_it_lives(store, monkeypatch):
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.01)
    with locked(store, "pets", "publishing pets", print):
        until(lambda: json.loads(store.read("locks/pets/000001.json"))["beat"] > 2, "beats")
