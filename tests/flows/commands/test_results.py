"""What pretrain and evaluate end with: one table that a person can read, and an answer."""

import io
import json
from typing import Any

from flows.commands.console import Console
from flows.commands.results import print_scores, print_training
from shared.storage import Store


def score(evaluation: str, metric: str, value: float, **protocol: Any) -> dict[str, Any]:
    return {"evaluation": evaluation, "metric": metric, "value": value, "protocol": protocol}


def scored(store: Store, trained: float) -> None:
    def rows(knn: float) -> list[dict[str, Any]]:
        return [score("knn", "top1", knn, queries=400), score("effective_rank", "rank", 31.5)]

    baselines = {"random_init": rows(0.2), "pixels": rows(0.4)}
    facts = {"run": "run", "step": 60, "dataset": "d v0001", "scores": rows(trained), "baselines": baselines}
    store.write("evaluations/run/60.json", json.dumps(facts))


def printed(store: Store) -> list[str]:
    console = Console(io.StringIO())
    print_scores(console, store, "run")
    assert isinstance(console.stream, io.StringIO)
    return console.stream.getvalue().splitlines()


def test_scores_stand_in_columns_with_intervals_and_the_last_line_says_whether_it_learned(tmp_path) -> None:
    store = Store(str(tmp_path))
    scored(store, 0.6)
    _, head, knn, rank, _, answer = printed(store)
    assert head.split("  ")[-1].strip() == "raw pixels"
    assert [cell.strip() for cell in knn.split("  ") if cell] == [
        "knn top1",
        "0.600 ± 0.048",
        "0.200 ± 0.039",
        "0.400 ± 0.048",
    ]
    assert [cell.strip() for cell in rank.split("  ") if cell] == ["effective_rank rank", "31.500", "31.500", "31.500"]
    assert len({len(line) for line in (head, knn, rank)}) == 1
    assert answer.startswith("Did it learn?  Yes. k-NN 0.600 [0.551, 0.647] at step 60; above untrained model (0.200)")


def test_level_with_a_baseline_is_not_clearly_and_below_one_is_no(tmp_path) -> None:
    store = Store(str(tmp_path))
    scored(store, 0.43)
    assert printed(store)[-1].startswith("Did it learn?  Not clearly. ")
    scored(store, 0.3)
    assert printed(store)[-1].startswith("Did it learn?  No. ")
    assert "below raw pixels (0.400) by -0.100 [-0.1" in printed(store)[-1]


def test_a_training_ends_with_its_course_from_first_to_last(tmp_path) -> None:
    store = Store(str(tmp_path))
    rows = [{"step": n, "loss": 5.0 - n / 10, "teacher_effective_rank": 10.0 + n} for n in range(1, 5)]
    rows[0] |= {"knn_top1": 0.15, "knn_queries": 256}
    rows[2] |= {"knn_top1": 0.35, "knn_queries": 256}
    rows[3] |= {"knn_top1": 0.3, "knn_queries": 256}
    store.write("runs/run/metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    facts = {"steps": 4, "images_seen": 256, "seconds": 120.0, "images_per_second": 2.1, "skipped_steps": 0}
    console = Console(io.StringIO())
    print_training(console, store, "run", facts | {"alarms": ["k-NN fell · usually a rate"]})
    assert isinstance(console.stream, io.StringIO)
    lines = [line.split() for line in console.stream.getvalue().splitlines() if line]
    assert " ".join(lines[0]) == "4 steps, 256 images in 2.0 minutes (2 images/s), 0 steps left out"
    assert lines[1:5] == [
        ["first", "best", "last"],
        ["loss", "4.9", "4.6", "4.6"],
        ["k-NN", "of", "the", "teacher", "0.15", "0.35", "0.3"],
        ["effective", "rank", "11", "14", "14"],
    ]
    assert " ".join(lines[5]).startswith("k-NN here is of a sample of 256 queries")
    assert " ".join(lines[6]) == "alarm: k-NN fell · usually a rate"
