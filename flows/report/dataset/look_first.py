"""What to look at before anything else on the page; what of the sources was never an image, and what was guessed."""

from typing import Any

from curation.publish.alarms import SHARE, alarm_text, hanging_together, low_recall
from curation.sources.notes import WHYS
from flows.report.kit import reason_text
from flows.report.kit.pages import counted


def look_first(info: dict[str, Any]) -> dict[str, Any]:
    """Return `lines` of {text, group, anchor}, one a warning, and the `share` from which on a reason is one."""
    warnings = [
        {
            "text": f"{_capital(alarm_text(alarm))}.",
            "group": reason_text.group(alarm["reason"]),
            "anchor": alarm["reason"],
        }
        for alarm in info.get("alarms", [])
    ]
    if info.get("label_conflicts"):
        text = f"{counted(info['label_conflicts'], 'copy')} with another label than the image that stands for it."
        warnings.append({"text": text, "group": "duplicate", "anchor": "conflicts"})
    for name, count in unreadable_of(info).items():
        text = f"{counted(count, 'image')} of the evaluation set {name} unreadable, and not protected."
        warnings.append({"text": text, "group": "contaminated", "anchor": "sets"})
    for sentence in low_recall(info):
        warnings.append({"text": f"{_capital(sentence)}.", "group": "duplicate", "anchor": "near_duplicate"})
    for sentence in hanging_together(info):
        warnings.append({"text": f"{_capital(sentence)}.", "group": "duplicate", "anchor": "copies"})
    return {"lines": warnings, "share": SHARE}


def unreadable_of(info: dict[str, Any]) -> dict[str, int]:
    """Return how many images of each evaluation set could not be read; sets without any are left out."""
    search = info.get("search", {}).get("decontaminate", {})
    counts: dict[str, int] = search.get("unreadable", {}) if isinstance(search, dict) else {}
    return counts


def of_sources(info: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return what was `passed_over`, {source, why, ending, count, examples}, and `guessed`, {source, text, images}."""
    facts = {
        kind: [{"source": source, **one} for source, entries in info.get(kind, {}).items() for one in entries]
        for kind in ("passed_over", "guessed")
    }
    for one in facts["passed_over"]:
        one["why"] = WHYS.get(one["why"], one["why"])
    return facts


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
