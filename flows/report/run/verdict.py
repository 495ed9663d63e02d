"""What a run's numbers come to, in sentences: did it learn, is it healthy."""

from typing import Any, NamedTuple

from flows.report.kit.pages import counted
from flows.report.run.read import column, is_number
from flows.report.run.scores import Evaluated
from training.eval.math.proportions import Interval, difference_interval, share_interval
from training.runs.best import KNN, RANK
from training.runs.scores import measured

FEW = 1.5
"""An effective rank below this is a collapse: all features lie along one line."""
IDLE = 0.2
"""A share of waiting for data that is worth a word."""


class Verdict(NamedTuple):
    """A sentence, and how good its news is: kept, quality (a warning), or nothing."""

    tag: str
    word: str
    text: str


def learned(scored: list[Evaluated], best: dict[str, Any] | None) -> Verdict:
    """Tell whether the best checkpoint, or else the last, beats what can be had without learning."""
    if not scored:
        return Verdict("", "not known yet", "No checkpoint has been scored.")
    checkpoint = next((one for one in scored if best and one.step == best["step"]), scored[-1])
    where = f"at step {checkpoint.step:,}"
    knn = measured(KNN, checkpoint.scores)
    if knn is None:
        return Verdict(
            "", "no labels", f"Without labels only the effective rank can be told: {_rank(checkpoint)} {where}."
        )
    value, given = checkpoint.scores[knn], checkpoint.protocols.get(knn, {}).get("queries")
    queries = int(given) if given and is_number(given) else 0
    measured_knn = f"k-NN {value:.3f}{_between(share_interval(value, queries)) if queries else ''} {where}"
    bars = {name: scores[knn] for name, scores in checkpoint.baselines.items() if knn in scores}
    if not bars:
        return Verdict("", "no baseline", f"{measured_knn}.")
    places: dict[str, list[str]] = {"above": [], "level with": [], "below": []}
    for name, bar in bars.items():
        beyond = difference_interval(value, bar, queries) if queries else Interval(value - bar, value - bar)
        place = "above" if beyond.low > 0 else "below" if beyond.high < 0 else "level with"
        by = f" by {value - bar:.3f}{_between(beyond)}" if queries else ""
        places[place].append(f"{name} ({bar:.3f}){by}")
    text = "; ".join([measured_knn, *(f"{place} {' and '.join(names)}" for place, names in places.items() if names)])
    small = f" In brackets: 95 % intervals over {queries:,} queries." if queries else ""
    if places["below"]:
        return Verdict("quality", "no", f"{text}.{small}")
    return Verdict(*(("quality", "not clearly") if places["level with"] else ("kept", "yes")), f"{text}.{small}")


def _between(interval: Interval) -> str:
    return f" [{interval.low:.3f}, {interval.high:.3f}]"


def _rank(one: Evaluated) -> str:
    before = one.baselines.get("untrained model", {}).get(RANK)
    return f"{one.scores.get(RANK, float('nan')):.1f}" + (f" (untrained: {before:.1f})" if before else "")


def healthy(table: list[dict[str, Any]], finished: bool) -> Verdict:
    """Tell what went wrong while training: alarms, left-out steps, a collapse, waiting."""
    if not table:
        return Verdict("", "not known yet", "No step has been logged.")
    alarms = alarms_of(table)
    bad = sum(row.get("taken") is False for row in table)
    ranks, waits = column(table, "teacher_effective_rank")[1], column(table, "data_wait")[1]
    wait = sum(waits) / len(waits) if waits else 0.0
    worries = [
        f"{counted(len(alarms), 'alarm')}, the last at step {alarms[-1]['step']:,}" if alarms else "",
        f"{counted(bad, 'step')} left out: something was not finite" if bad else "",
        f"features have collapsed: effective rank {ranks[-1]:.1f}" if ranks and ranks[-1] < FEW else "",
        f"{wait:.0%} of the time went into waiting for data" if wait > IDLE else "",
    ]
    worries = [worry for worry in worries if worry]
    if worries:
        return Verdict("quality", "look closer", f"{'; '.join(worries)}.".capitalize())
    rank = f", effective rank {ranks[-1]:.0f} at the last measurement" if ranks else ""
    going = "" if finished else " so far"
    return Verdict(
        "kept", "yes", f"Every step was finite{going}, no alarm{rank}, {wait:.0%} of the time waiting for data."
    )


def alarms_of(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return {"step", "text"} of every alarm: a row carries one, or several by their kind."""
    raised = [(row["step"], row["alarm"]) for row in table if row.get("alarm") and is_number(row.get("step"))]
    return [
        {"step": int(step), "text": str(text)}
        for step, alarm in raised
        for text in (alarm.values() if isinstance(alarm, dict) else [alarm])
    ]
