"""The story of one image in words, line by line."""

from typing import Any

from flows.commands.console import Console
from flows.report.kit import reason_text

SHOWN = 20
"""Longer lists end with how many more there are; --json has them all."""
Facts = dict[str, Any]


def tell(console: Console, facts: Facts, verify: str | None) -> None:
    """Print what is known of one image."""
    console.say(f"in {facts['dataset']} {facts['version']}, published {facts['published']}")
    if facts["version"] != facts["newest"]:
        console.say(f"(the newest is {facts['newest']}: this image is not in it any more)")
    console.say()
    if facts["indexed"]:
        _tell_indexed(console, facts, verify)
    else:
        console.say(f"file      {facts['asked']}: it was never indexed")
        console.say(f"id        {facts['image_id']}")
    if facts.get("error"):
        console.say(f"error     {facts['error']}")
    _tell_measured(console, facts)
    _tell_neighbours(console, facts)
    if "verdict" in facts:
        console.say(f"\ncuration  {_verdict(facts['verdict'], verify)}")
    if facts.get("versions"):
        told = ", ".join(f"{version} {_state(state)}" for version, state in facts["versions"].items())
        console.say(f"\nversions  {told}")


def _tell_indexed(console: Console, facts: Facts, verify: str | None) -> None:
    for row in facts["seen"][:SHOWN]:
        _tell_row(console, row, facts["like"], verify)
    _more(console, facts["seen"])
    console.say(f"id        {facts['image_id'] or '(unreadable)'}")
    if facts["file_changed"]:
        console.say("changed   the file on disk has other bytes than those that were indexed")
    for copy in facts["replaces"][:SHOWN]:
        evidence = reason_text.evidence(copy["reason"], copy["value"], None, verify)
        console.say(f"replaces  {copy['uri']} ({reason_text.title(copy['reason']).lower()}: {evidence})")
    _more(console, facts["replaces"])


def _tell_row(console: Console, row: Facts, like: dict[str, str], verify: str | None) -> None:
    console.say(f"{row['state']:<9} {row['uri']} · source {row['source']}")
    if row["state"] == "kept":
        turned = f", turned by {row['rotation']}°" if row["rotation"] else ""
        console.say(f"stored    {row['shard']}, {row['length']:,} bytes at {row['offset']:,}{turned}")
        if row["label"]:
            console.say(f"label     {row['label']}")
        if row["cluster"] is not None:
            weight = "" if row["weight"] is None else f", weight {row['weight']:.3g}"
            console.say(f"cluster   {row['cluster']}{weight}")
        return
    evidence = reason_text.evidence(row["reason"], row["value"], row["threshold"], verify)
    console.say(
        f"reason    {reason_text.title(row['reason']).lower()}, found by {row['stage']}: {row['error'] or evidence}"
    )
    if row["kept_uri"]:
        of, state = "copy of   ", _state(like.get(row["kept_uri"], "kept"))
        if row["reason"] == "contaminated":
            of, state = "like      ", "evaluation image"
        console.say(f"{of}{row['kept_uri']} ({state}){reason_text.turned(row.get('orientation'))}")


def _tell_measured(console: Console, facts: Facts) -> None:
    image = facts["measured"]
    if image is None:
        if facts.get("image_id") and not facts["cache"] and not facts.get("error"):
            console.say("measured  not known: the stage cache was deleted, and only kept images are published with it")
        return
    console.say(f"image     {image['width']} × {image['height']} {image['format']}, {image['bytes']:,} bytes")
    console.say(f"hash      {image['phash']}, detail {image['detail']:.3g} gray levels")
    for place, rule in enumerate(facts["rules"]):
        value = reason_text.signal_value(rule["rule"], rule["value"], rule["limit"])
        side = "to spare" if rule["passes"] else "beyond"
        mark = "✓" if rule["passes"] else "✗"
        head = "rules" if place == 0 else ""
        told = f"{reason_text.title(rule['rule']):<16} {value:<28} limit {rule['limit']:<6g}"
        console.say(f"{head:<9} {mark} {told} {abs(rule['spare']):.3g} {side}")


def _tell_neighbours(console: Console, facts: Facts) -> None:
    near = facts["neighbours"]
    if near is None:
        if not facts["cache"] and facts["measured"]:
            console.say("nearest   not known: embeddings lie in the stage cache, which was deleted")
        return
    if near:
        console.say("\nnearest kept images")
    for row in near:
        match = ""
        if row.get("match") is not None:
            match = f"match {row['match']:.2f}, {row['verdict']}{reason_text.turned(row['orientation'])}   "
        console.say(f"          {match}cosine {row['cosine']:.3f}   hash {row['bits']:>2} of 64 bits   {row['uri']}")


def _verdict(verdict: Facts | None, verify: str | None) -> str:
    if verdict is None:
        return "cannot say: the recipe of this version cannot be followed any more"
    if verdict["reason"] is None:
        return "would keep it" + (" unless it is a copy: that is not known any more" if verdict.get("unknown") else "")
    if verdict.get("kept_uri"):
        evidence = reason_text.evidence(verdict["reason"], verdict["value"], verdict["threshold"], verify)
        return f"would keep only one of it and {verdict['kept_uri']}, the one with more pixels: {evidence}"
    told = verdict.get("error") or reason_text.evidence(
        verdict["reason"], verdict["value"], verdict["threshold"], verify
    )
    return f"would drop it, {reason_text.title(verdict['reason']).lower()}: {told}"


def _state(state: str) -> str:
    return state if state in ("kept", "absent") else f"dropped ({state.replace('_', ' ')})"


def _more(console: Console, rows: list[Any]) -> None:
    if len(rows) > SHOWN:
        console.say(f"          and {len(rows) - SHOWN:,} more")
