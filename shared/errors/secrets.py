"""Passwords and tokens in URLs: taken out of whatever is stored or told."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^\s'\"<>|\\^`]+")
LOGIN = re.compile(r"^([A-Za-z][A-Za-z0-9+.\-]*://)([^/@\s]*:[^/\s]*)@")
SECRET_NAME = re.compile(
    r"token|secret|signature|^sig$|passw|^pwd$|credential|api.?key|access.?key|^key$|^auth|session|jwt|^policy$|hmac",
    re.IGNORECASE,
)
"""Names of what a query keeps to itself."""
WEB = ("http://", "https://")


class Parted(NamedTuple):
    """A URL that may be stored, and what was taken out of it."""

    url: str
    login: str = ""
    """user:password, as it stood there."""
    query: str = ""
    """What is secret of its query, as it stood there."""


def parted(url: str) -> Parted:
    """Take the login and the secret parameters out of a URL; anything else is left as it is."""
    login = LOGIN.match(url)
    if login:
        url = login[1] + url[login.end() :]
    query = ""
    if url.startswith(WEB) and "?" in url:
        pairs = [(pair, bool(SECRET_NAME.search(pair.partition("=")[0]))) for pair in urlsplit(url).query.split("&")]
        query = "&".join(pair for pair, secret in pairs if secret)
        if query:
            head, _, tail = url.partition("?")
            rest, fragment = "&".join(pair for pair, secret in pairs if not secret), tail.partition("#")
            url = head + (f"?{rest}" if rest else "") + fragment[1] + fragment[2]
    return Parted(url, login[2] if login else "", query)


def redacted(text: str) -> str:
    """Return a text whose URLs tell no secret."""
    if "://" not in text:
        return text
    return URL.sub(lambda found: "::".join(parted(one).url for one in found[0].split("::")), text)


def redacted_tree(value: Any) -> Any:
    """Return plain values whose texts tell no secret."""
    return with_texts(value, redacted)


def with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return plain values (texts, numbers, lists, dictionaries of them) with every text changed, but for keys."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: with_texts(one, change) for key, one in value.items()}
    return [with_texts(one, change) for one in value] if isinstance(value, list | tuple) else value
