"""Two commands that train one run do not train it twice at the same time."""

import threading
from types import SimpleNamespace

from flows import pipeline
from shared.launch.progress import Silent
from shared.params import Compute
from shared.storage import Store
from tests.waiting import LIMIT_SECONDS
from training.params import PretrainParams


def test_two_pretrains_of_one_run_take_turns(tmp_path, monkeypatch):
    inside, most, met = [], [], threading.Event()

    def gang(*_, **settings):
        inside.append(settings["run"])
        most.append(len(inside))
        met.wait(0.2)
        inside.pop()
        return {"steps": 1}

    monkeypatch.setattr(pipeline, "gang", gang)
    monkeypatch.setattr("shared.storage.lock.PAUSE_SECONDS", 0.01)
    dataset = SimpleNamespace(name="pets", version="v0001", content_version="v0001", info={"fingerprint": "f"})
    recipe = SimpleNamespace(training=PretrainParams(), compute=Compute())
    session = SimpleNamespace(
        recipe=recipe, store=Store(str(tmp_path)), reporter=Silent(), params=lambda _: PretrainParams()
    )
    results = []
    threads = [threading.Thread(target=lambda: results.append(pipeline.pretrain(session, dataset))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_SECONDS)
    assert len(results) == 3
    assert len({one.run for one in results}) == 1
    assert set(most) == {1}
