"""The story of one image in words, line by line."""

from typing import Any

from flows.commands.console import Console
from flows.inspect.escape import shown
from flows.report.kit import reason_text
from flows.report.kit.reason_text import Checks

SHOWN = 20
"""Longer lists end with how many more there are; --json has them all."""
ImageFacts = dict[str, Any]
NEVER_INDEXED = {
    "name": ", and would not be: its name says that it is no image",
    "inside": ". It lies in a source: it came, or got this name, after the listing",
    "outside": ". It lies in none of the sources",
}
"""Why a file of this machine is in no listing."""


def print_image(console: Console, facts: ImageFacts, checks: Checks) -> None:
    """Print what is known of one image, or of a folder."""
    console.say(f"in {facts['dataset']} {facts['version']}, published {facts['published']}")
    if facts["version"] != facts["newest"]:
        console.say(f"(the newest is {facts['newest']}: this image is not in it any more)")
    console.say()
    if "folder" in facts:
        _tell_folder(console, facts)
        return
    if facts["indexed"]:
        _tell_indexed(console, facts, checks)
    else:
        console.say(f"file      {shown(facts['asked'])}: it was never indexed{NEVER_INDEXED[facts['never_indexed']]}")
        console.say(f"id        {facts['image_id']}")
    if facts.get("error"):
        console.say(f"error     {facts['error']}")
    _tell_measured(console, facts)
    _tell_neighbours(console, facts, checks)
    if "verdict" in facts:
        console.say(f"\ncuration  {_verdict(facts['verdict'], checks)}")
    for note in facts.get("notes", ()):
        console.say(f"\nnote      {note}")
    if facts.get("versions"):
        states = ", ".join(f"{version} {_state(state)}" for version, state in facts["versions"].items())
        console.say(f"\nversions  {states}")


def _tell_folder(console: Console, facts: ImageFacts) -> None:
    kept, dropped = facts["kept"], sum(facts["reasons"].values())
    console.say(
        f"folder    {shown(facts['folder'])}: {facts['indexed']:,} images indexed, {kept:,} kept, {dropped:,} dropped"
    )
    for reason, count in facts["reasons"].items():
        console.say(f"  {count:>9,} dropped: {reason.replace('_', ' ')}")
    passed = facts["never_indexed"]
    if passed:
        listed = ", ".join(f"{count:,} {shown(ending)}" for ending, count in list(passed.items())[:SHOWN])
        console.say(f"          {sum(passed.values()):,} files there were never indexed: {listed}")
    for state, uris in facts["examples"].items():
        for uri in uris:
            console.say(f"{state:<9} {shown(uri)}")
    console.say("\nGive one of its images for that image alone.")


def _tell_indexed(console: Console, facts: ImageFacts, checks: Checks) -> None:
    several = len(facts["seen"]) > 1
    for row in facts["seen"][:SHOWN]:
        _tell_row(console, row, facts["like"], checks, "  ← asked for" if several and row["asked"] else "")
    _more(console, facts["seen"])
    console.say(f"id        {facts['image_id'] or '(unreadable)'}")
    if facts["file_changed"]:
        console.say("changed   the file on disk has other bytes than those that were indexed")
    for copy in facts["replaces"][:SHOWN]:
        evidence = reason_text.evidence(copy["reason"], copy["value"], None, checks)
        console.say(f"replaces  {shown(copy['uri'])} ({reason_text.title(copy['reason']).lower()}: {evidence})")
    _more(console, facts["replaces"])


def _tell_row(console: Console, row: ImageFacts, like: dict[str, str], checks: Checks, mark: str) -> None:
    console.say(f"{row['state']:<9} {shown(row['uri'])} · source {row['source']}{mark}")
    if row["state"] == "kept":
        turned = f", turned by {row['rotation']}°" if row["rotation"] else ""
        console.say(f"stored    {row['shard']}, {row['length']:,} bytes at {row['offset']:,}{turned}")
        if row["label"]:
            console.say(f"label     {shown(row['label'])}")
        if row["cluster"] is not None:
            weight = "" if row["weight"] is None else f", weight {row['weight']:.3g}"
            console.say(f"cluster   {row['cluster']}{weight}")
        return
    evidence = reason_text.evidence(row["reason"], row["value"], row["threshold"], checks)
    console.say(
        f"reason    {reason_text.title(row['reason']).lower()}, found by {row['stage']}: {row['error'] or evidence}"
    )
    if reason_text.turned(row.get("orientation")):
        console.say(f"turned    it matches {row['orientation']}")
    if row["kept_uri"]:
        of, state = "copy of   ", _state(like.get(row["kept_uri"], "kept"))
        if row["reason"] == "contaminated":
            of, state = "like      ", "evaluation image"
        console.say(f"{of}{shown(row['kept_uri'])} ({state})")


def _tell_measured(console: Console, facts: ImageFacts) -> None:
    image = facts.get("measured")
    if image is None:
        if facts.get("image_id") and facts.get("cache") is False and not facts.get("error"):
            console.say("measured  not known: the stage cache was deleted, and only kept images are published with it")
        return
    console.say(f"image     {image['width']} × {image['height']} {image['format']}, {image['bytes']:,} bytes")
    console.say(f"phash     {image['phash']}, detail {image['detail']:.3g} gray levels")
    for place, rule in enumerate(facts["rules"]):
        value = reason_text.signal_value(rule["rule"], rule["value"], rule["limit"])
        side = "to spare" if rule["passes"] else "beyond"
        mark = "✓" if rule["passes"] else "✗"
        head = "rules" if place == 0 else ""
        row = f"{reason_text.title(rule['rule']):<16} {value:<28} limit {rule['limit']:<6g}"
        console.say(f"{head:<9} {mark} {row} {abs(rule['spare']):.3g} {side}")


def _tell_neighbours(console: Console, facts: ImageFacts, checks: Checks) -> None:
    near = facts.get("neighbours")
    if near is None:
        if facts.get("cache") is False and facts["measured"]:
            console.say("nearest   not known: embeddings lie in the stage cache, which was deleted")
        return
    if near:
        console.say("\nnearest kept images")
    for row in near:
        match = ""
        if row.get("match") is not None:
            match = f"match {row['match']:.2f}, {row['verdict']}{reason_text.turned(row['orientation'])}   "
        numbers = f"{match}cosine {row['cosine']:.3f}   {checks.hash} {row['bits']:>2} of 64 bits"
        console.say(f"          {numbers}   {shown(row['uri'])}")


def _verdict(verdict: ImageFacts | None, checks: Checks) -> str:
    if verdict is None:
        return "cannot say: the recipe of this version cannot be followed any more"
    if verdict["reason"] is None:
        return "would keep it" + (" unless it is a copy: that is not known any more" if verdict.get("unknown") else "")
    if verdict.get("kept_uri"):
        evidence = reason_text.evidence(verdict["reason"], verdict["value"], verdict["threshold"], checks)
        return f"would keep only one of it and {shown(verdict['kept_uri'])}, the one with more pixels: {evidence}"
    why = verdict.get("error") or reason_text.evidence(
        verdict["reason"], verdict["value"], verdict["threshold"], checks
    )
    return f"would drop it, {reason_text.title(verdict['reason']).lower()}: {why}"


def _state(state: str) -> str:
    return state if state in ("kept", "absent") else f"dropped ({state.replace('_', ' ')})"


def _more(console: Console, rows: list[Any]) -> None:
    if len(rows) > SHOWN:
        console.say(f"          and {len(rows) - SHOWN:,} more")
