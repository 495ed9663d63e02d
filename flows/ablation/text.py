"""What an ablation says in words: on a terminal, on a page of Prefect, on its own page."""

from typing import Any

Results = dict[str, Any]
"""The facts of an ablation, as results.json holds them."""
Compared = dict[str, Any]
"""Of these, one metric of one variant: its scores, and the difference to the baseline."""


def points(value: float | None, signed: bool = False) -> str:
    """Write a share in per cent, a difference with its sign."""
    if value is None:
        return "–"
    return f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}"


def interval(compared: Compared) -> str:
    """Write a difference with its interval, in points."""
    difference = compared["difference"]
    if difference is None:
        return ""
    if difference["low"] is None:
        return points(difference["mean"], signed=True)
    ends = (points(difference[end], signed=True) for end in ("low", "high"))
    return f"{points(difference['mean'], signed=True)} ({' to '.join(ends)})"


def verdict(compared: Compared) -> str:
    """Say what may be claimed of a variant."""
    word = compared.get("verdict")
    if word is None:
        return ""
    if word == "same images":
        return "the same images as the baseline"
    if word == "not tested":
        return "not tested: one seed claims nothing"
    if word == "no difference seen":
        return f"no difference seen (one of {points(compared['difference']['detectable'])} would be, 4 times in 5)"
    return f"{word} (p = {compared['p_holm']:.2g})"


def headline(facts: Results) -> list[str]:
    """Return the sentences that stand above the table."""
    proxy, questions, how = facts["proxy"], facts["questions"], facts["protocol"]
    metric = facts["verdict_on"] or "no score that names a class"
    classes = questions["classes"]
    chance = f" ({classes} classes, chance about {100 / classes:.0f} %)" if classes else ""
    about = f" of {how['queries']:,} queries{chance} against {how['bank']:,} images" if "queries" in how else ""
    seeds = f"{proxy['seeds']} {'seed' if proxy['seeds'] == 1 else 'seeds'}"
    lines = [f"{metric}{about}; {proxy['steps']:,} steps × {proxy['batch_size']} images, {seeds}."]
    unequal = [one["name"] for one in facts["variants"] if not one["equal_compute"]]
    if unequal:
        lines.append(f"Not at equal compute: {', '.join(unequal)}.")
    return lines


def notes(facts: Results) -> list[str]:
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


def table(facts: Results) -> list[list[str]]:
    """Return the rows of the table of verdicts, its head first."""
    metric = facts["verdict_on"]
    rows = [["variant", "trained on", "copies", metric or "", "difference", "verdict"]]
    for one in facts["variants"]:
        compared = one["metrics"].get(metric, {"mean": None, "sd": None, "difference": None})
        spread = "" if compared["sd"] is None else f" ± {points(compared['sd'])}"
        rows.append(
            [
                one["name"],
                f"{one['trained_on']:,}",
                f"{points(one['copies'])} %",
                f"{points(compared['mean'])}{spread}",
                interval(compared),
                verdict(compared),
            ]
        )
    for who, values in facts["baselines"].items():
        rows.append([who, "", "", points(values.get(metric)), "", ""])
    return rows


def lines(rows: list[list[str]], widest: int = 48) -> list[str]:
    """Lay a table out for a terminal: the first and last column to the left, numbers to the right."""
    cut = [
        [cell if len(cell) <= widest or column else f"{cell[: widest - 1]}…" for column, cell in enumerate(row)]
        for row in rows
    ]
    widths = [max(len(row[column]) for row in cut) for column in range(len(cut[0]))]
    last = len(widths) - 1
    return [
        "  ".join(
            cell.ljust(width) if column in (0, last) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cut
    ]
