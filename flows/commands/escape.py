"""Names as a terminal may show them: a name may hold anything, and none may move the cursor or break a line."""

from unicodedata import category

UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Categories of characters that do something instead of being seen."""


def shown(text: str) -> str:
    """Return the text with control characters, odd blanks and undecodable bytes escaped."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")


def harmless(text: str) -> str:
    """Return lines in which nothing moves the cursor, rings or changes a colour, whatever names they hold."""
    return "".join(
        letter if letter in "\n\t" or category(letter) not in UNSEEN else _escaped(letter) for letter in text
    )
