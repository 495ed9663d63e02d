"""Names of files are bytes. One that is no UTF-8 is written as a file URL, which no other file's path can be."""

import os
from urllib.parse import quote_from_bytes, unquote_to_bytes

URL = "file://"


def as_text(path: str) -> str:
    """Return a path of this machine as text that can be stored: itself, or a URL where its bytes are no UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return URL + quote_from_bytes(os.fsencode(path))
    return path


def as_path(text: str) -> str:
    """Return the path that `as_text` was given, to open it; also that of any other file URL."""
    return os.fsdecode(unquote_to_bytes(text.removeprefix(URL))) if text.startswith(URL) else text


def absolute(path: str) -> str:
    """Return a path as it is meant from any folder: an absolute one, a URL as it is."""
    return path if "://" in path else os.path.abspath(path)


def is_remote(path: str) -> bool:
    """Tell whether a path is a URL of another machine."""
    return "://" in path and not path.startswith(URL)


def printable(name: str) -> str:
    """Return a name inside an archive as text: bytes that are no UTF-8 become %F1; a caller sees to equal ones."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "".join(c if c.isprintable() and not "\udc80" <= c <= "\udcff" else _quoted(c) for c in name)
    return name


def _quoted(letter: str) -> str:
    return quote_from_bytes(letter.encode("utf-8", "surrogateescape"))
