"""traps.md is true: every test that it names exists."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
NAMED = re.compile(r"`(?P<file>test_\w+)`|`[^`]*`|(?P<claim>[a-z0-9]+(?:_[a-z0-9]+){2,})(?P<open>…?)")
"""A file, other code, or a test of the file named last, perhaps only its beginning."""


def named() -> list[tuple[str, str, bool]]:
    """Return file, claim, and whether more follows, for each test that a row names."""
    claims = []
    for row in (TESTS / "traps.md").read_text().splitlines():
        if not re.match(r"\| +\d+ \|", row):
            continue
        file = ""
        for match in NAMED.finditer(row.split("|")[3]):
            file = match["file"] or file
            if match["claim"]:
                claims.append((file, match["claim"], bool(match["open"])))
    return claims


def test_every_test_that_the_traps_name_exists() -> None:
    missing = []
    for file, claim, more in named():
        end = r"\w*" if more else ""
        found = [
            path
            for path in TESTS.rglob(f"{file}.py")
            if re.search(rf"^def test_{claim}{end}\(", path.read_text(), re.M)
        ]
        if len(found) != 1:
            missing.append(f"{file}: {claim}")
    assert missing == []
    assert len(named()) > 30


def test_every_file_that_the_traps_name_exists() -> None:
    files = set(re.findall(r"`(test_\w+)`", (TESTS / "traps.md").read_text()))
    assert {file for file in files if len(list(TESTS.rglob(f"{file}.py"))) != 1} == set()
