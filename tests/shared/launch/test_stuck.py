"""Who is stuck, by the signs of life of all ranks."""

import json
import threading

from shared.launch.stuck import STUCK, Sign, Watch, whom
from tests.waiting import until


def signs(*facts):
    return [
        Sign(rank, "node", 100 + rank, step=step, phase=phase, beat=beat)
        for rank, (step, phase, beat) in enumerate(facts)
    ]


def test_the_silent_rank_is_named_first():
    before = signs((7, "step", 1), (7, "step", 1), (7, "images", 1))
    now = signs((7, "step", 3), (7, "step", 1), (7, "images", 3))
    assert whom(before, now) == "rank 1 (process 101 on node) gives no sign of life, last seen in step 7"


def test_of_ranks_that_live_the_one_furthest_behind_is_named():
    before = signs((7, "step", 1), (7, "images", 1), (7, "step", 1))
    now = signs((7, "step", 3), (7, "images", 3), (7, "step", 3))
    assert whom(before, now) == "rank 1 (process 101 on node) is still in reading the images of step 7"
    slow_disk = signs((6, "checkpoint", 1), (7, "step", 1)), signs((6, "checkpoint", 3), (7, "step", 3))
    assert whom(*slow_disk) == "rank 0 (process 100 on node) is still in the checkpoint after step 6"


def test_where_nobody_is_behind_the_network_is_suspected():
    assert "all 2 ranks are alive, and in step 7" in whom(
        signs((7, "step", 1), (7, "step", 1)), signs((7, "step", 3), (7, "step", 3))
    )


class Table:
    """A board in one process."""

    def __init__(self):
        self.rows = {}

    def set(self, key, value):
        self.rows[key] = value

    def get(self, key):
        return self.rows[key].encode()

    def add(self, key, amount):
        self.rows[key] = self.rows.get(key, 0) + amount
        return self.rows[key]


def test_only_who_has_waited_too_long_leaves_and_one_alone_says_why(capfd, monkeypatch):
    monkeypatch.setattr("shared.launch.stuck.OTHERS_SECONDS", 0.5)
    board, left, busy = Table(), [], threading.Event()
    watches = [Watch(board, rank, 3, 1.0, leave=lambda code, rank=rank: left.append((rank, code))) for rank in range(3)]

    def work(watch):
        with watch:
            for step in range(1, 1000):
                watch.begins("step", step)
                if busy.wait(0.1):
                    return

    at_work = threading.Thread(target=work, args=(watches[2],))
    at_work.start()
    with watches[0], watches[1]:
        for watch in watches[:2]:
            watch.begins("step", 5)
        until(lambda: len(left) == 2, "nobody noticed")
        busy.set()
    at_work.join(10)
    assert sorted(left) == [(0, STUCK), (1, STUCK)]
    told = capfd.readouterr().err
    assert told.count("step 5 has not ended within 1 s: ") == 1
    assert {json.loads(board.rows[f"rank-{rank}"])["rank"] for rank in range(3)} == {0, 1, 2}
