"""What an ablation says in words: on a terminal, on a page of Prefect, on its own page."""

from typing import Any

Facts = dict[str, Any]


def points(value: float | None, signed: bool = False) -> str:
    """Write a share in per cent, a difference with its sign."""
    if value is None:
        return "–"
    return f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}"


def interval(told: Facts) -> str:
    """Write a difference with its interval, in points."""
    difference = told["difference"]
    if difference is None:
        return ""
    if difference["low"] is None:
        return points(difference["mean"], signed=True)
    ends = (points(difference[end], signed=True) for end in ("low", "high"))
    return f"{points(difference['mean'], signed=True)} ({' to '.join(ends)})"


def verdict(told: Facts) -> str:
    """Say what may be claimed of a variant."""
    word = told.get("verdict")
    if word is None:
        return ""
    if word == "same images":
        return "the same images as the baseline"
    if word == "not tested":
        return "not tested: one seed claims nothing"
    if word == "no difference seen":
        return f"no difference seen (one of {points(told['difference']['detectable'])} would be, 4 times in 5)"
    return f"{word} (p = {told['p_holm']:.2g})"


def headline(facts: Facts) -> list[str]:
    """Return the sentences that stand above the table."""
    proxy, asked, how = facts["proxy"], facts["questions"], facts["protocol"]
    metric = facts["verdict_on"] or "no score that names a class"
    chance = f" ({asked['classes']} classes, chance about {100 / asked['classes']:.0f} %)" if asked["classes"] else ""
    about = f" of {how['queries']:,} queries{chance} against {how['bank']:,} images" if "queries" in how else ""
    seeds = f"{proxy['seeds']} {'seed' if proxy['seeds'] == 1 else 'seeds'}"
    lines = [f"{metric}{about}; {proxy['steps']:,} steps × {proxy['batch_size']} images, {seeds}."]
    unequal = [one["name"] for one in facts["variants"] if not one["equal_compute"]]
    if unequal:
        lines.append(f"Not at equal compute: {', '.join(unequal)}.")
    return lines


def notes(facts: Facts) -> list[str]:
    """Return how the numbers are to be read."""
    tested = len(facts["variants"]) - 1
    lines = [
        "± is the standard deviation over seeds; a difference is in points, paired by seed, with its 95 % interval "
        f"(t distribution). It says how a difference moves with the seed, on these queries. Verdicts are on "
        f"{facts['verdict_on']} alone."
    ]
    if tested > 1:
        lines.append(
            f"{tested} variants were compared: a verdict is given after Holm's correction, so an interval may leave "
            "out zero without one."
        )
    if not facts["questions"]["guarded"]:
        lines.append(
            "Nothing keeps copies of what is asked out of training: name the sets in curation.decontaminate.sets, too."
        )
    if facts["proxy"]["seeds"] < 2:
        lines.append("One seed has no error bar: nothing is claimed. Run again with --seeds 3 or more.")
    return lines


def table(facts: Facts) -> list[list[str]]:
    """Return the rows of the table of verdicts, its head first."""
    metric = facts["verdict_on"]
    rows = [["variant", "trained on", "copies", metric or "", "difference", "verdict"]]
    for one in facts["variants"]:
        told = one["metrics"].get(metric, {"mean": None, "sd": None, "difference": None})
        spread = "" if told["sd"] is None else f" ± {points(told['sd'])}"
        rows.append(
            [
                one["name"],
                f"{one['trained_on']:,}",
                f"{points(one['copies'])} %",
                f"{points(told['mean'])}{spread}",
                interval(told),
                verdict(told),
            ]
        )
    for who, values in facts["baselines"].items():
        rows.append([who, "", "", points(values.get(metric)), "", ""])
    return rows


def lines(rows: list[list[str]], widest: int = 48) -> list[str]:
    """Lay a table out for a terminal: the first and last column to the left, numbers to the right."""
    cut = [
        [cell if len(cell) <= widest or place else f"{cell[: widest - 1]}…" for place, cell in enumerate(row)]
        for row in rows
    ]
    widths = [max(len(row[place]) for row in cut) for place in range(len(cut[0]))]
    last = len(widths) - 1
    return [
        "  ".join(
            cell.ljust(width) if place in (0, last) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cut
    ]
