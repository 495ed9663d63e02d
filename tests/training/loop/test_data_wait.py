from training.loop.data_wait import STEPS, DataWait


def test_a_loader_that_does_not_keep_up_is_said_once() -> None:
    waiting = DataWait()
    lines = [waiting.add(1.0, 0.5) for _ in range(3 * STEPS)]
    told = [line for line in lines if line]
    assert lines[: STEPS - 1] == [None] * (STEPS - 1)
    assert len(told) == 1
    assert "data wait 50% of the last 100 steps · give more compute.workers" in told[0]
    assert waiting.summary() == {"data_wait": 0.5, "loader_kept_up": False}


def test_a_loader_that_keeps_up_is_not_spoken_of() -> None:
    waiting = DataWait()
    assert not any(waiting.add(1.0, 0.1) for _ in range(3 * STEPS))
    assert waiting.summary() == {"data_wait": 0.1, "loader_kept_up": True}


def test_a_slow_start_is_forgiven() -> None:
    waiting = DataWait()
    assert not any(waiting.add(1.0, 0.9 if step < 15 else 0.0) for step in range(3 * STEPS))
