"""Names as a terminal may show them: a name may hold anything, and none may move the cursor or break a line."""


def shown(text: str) -> str:
    """Return the text with control characters, odd blanks and undecodable bytes escaped."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
