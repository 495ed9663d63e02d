"""Where the secrets of URLs are kept while a command works: in its environment, and nowhere on storage.

    DINOFLOW_SECRETS='{"https://data.org/photos": "user:password", "s3://bucket": "key:secret",
                       "https://cdn.org/": "?token=…"}'

A URL on a command line or in a recipe is parted, and its secret is put there: child processes inherit it. What fsspec,
boto3 and their kin find by themselves (AWS_…, ~/.config/fsspec/*.json, FSSPEC_…) needs no entry.
"""

import base64
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from shared.errors import UserError
from shared.errors.secrets import URL, WEB, parted, with_texts

SECRETS = "DINOFLOW_SECRETS"
LISTS = "DINOFLOW_SECRET_LISTS"
"""Text files whose lines are URLs with secrets, each its own: a process that reads such a URL reads them first."""
PATTERN = re.compile(r"[*?\[{]")


def withheld(text: str) -> str:
    """Return a text whose URLs hold no secret; from now on `located` knows what was there."""
    return URL.sub(lambda found: _remembered(found[0]), text) if "://" in text else text


def withheld_tree(value: Any) -> Any:
    """Return plain values of which the same holds."""
    return with_texts(value, withheld)


def _remembered(url: str) -> str:
    if "::" in url:  # a zip inside of another place
        return "::".join(map(_remembered, url.split("::")))
    plain, login, query = parted(url)
    if login or query:
        head = PATTERN.split(plain, maxsplit=1)[0]
        prefix = plain.rstrip("]}),;.") if head == plain else head.rpartition("/")[0]
        remember({prefix: login + (f"?{query}" if query else "")})
    return plain


def remember(secrets: Mapping[str, str]) -> None:
    """Add secrets by the beginning of the URLs that they open."""
    os.environ[SECRETS] = json.dumps({**_secrets(os.environ.get(SECRETS, "")), **secrets})


def remember_lists(urls: Iterable[str]) -> None:
    """Add those of the text files at these URLs whose lines hold secrets. Whoever lists them tells of a missing one."""
    for url in urls:
        with suppress(OSError, ValueError, ImportError):
            if next(secret_lines(url), None) is not None:
                lists = os.environ.get(LISTS, "").splitlines()
                os.environ[LISTS] = "\n".join(dict.fromkeys([*lists, url]))


def located(url: str) -> tuple[Any, str]:
    """Return the filesystem of a URL, opened with its secrets, and the path on it."""
    lists = os.environ.get(LISTS, "")
    secret = _secret_of(url) or (_of_lists(lists).get(url) if lists and url.startswith(WEB) else None)
    return _opened(url, *(secret or ("", "")))


def _opened(url: str, login: str, query: str) -> tuple[Any, str]:
    import fsspec

    if url.startswith(WEB):
        options: dict[str, Any] = {}
        if login:
            basic = base64.b64encode(unquote(login).encode()).decode()
            options = {"client_kwargs": {"headers": {"Authorization": f"Basic {basic}"}}}
        fs, path = fsspec.core.url_to_fs(_with_query(url, query), **options)
        return fs, str(path)
    if login and url.startswith(("s3://", "s3a://")):
        key, _, secret = login.partition(":")
        fs, path = fsspec.core.url_to_fs(url, key=unquote(key), secret=unquote(secret))
        return fs, str(path)
    protocol, scheme, rest = url.partition("://")
    if not scheme:  # a folder's name may hold the :: of a chained URL
        local = fsspec.filesystem("file")
        return local, str(local._strip_protocol(url))
    fs, path = fsspec.core.url_to_fs(f"{protocol}://{login}@{rest}" if login else url)
    return fs, str(path)


def _with_query(url: str, query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url


def _secret_of(url: str) -> tuple[str, str] | None:
    """Return login and query of the longest beginning of a URL that has some."""
    secrets = _secrets(os.environ.get(SECRETS, ""))
    prefixes = [one for one in secrets if url == one or url.startswith(one if one.endswith("/") else f"{one}/")]
    if not prefixes:
        return None
    login, _, query = secrets[max(prefixes, key=len)].partition("?")
    return login, query


@lru_cache(maxsize=8)
def _secrets(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        secrets = json.loads(text)
    except ValueError:
        secrets = None
    if not isinstance(secrets, dict) or not all(isinstance(one, str) for one in secrets.values()):
        raise UserError(
            f'{SECRETS} needs a JSON object of URLs and their secrets, as {{"https://host/": "user:password"}}, got '
            "something else. Mend it in the environment or in the Prefect block."
        )
    return secrets


@lru_cache(maxsize=1)
def _of_lists(lists: str) -> dict[str, tuple[str, str]]:
    lines = (line for path in lists.splitlines() for line in secret_lines(path))
    return {plain: (login, query) for plain, login, query in map(parted, lines)}


def secret_lines(path: str) -> Iterator[str]:
    """Yield the URLs of a text file that hold a secret."""
    fs, plain = _opened(path, *(_secret_of(path) or ("", "")))
    with fs.open(plain, "r", encoding="utf-8-sig", errors="surrogateescape") as file:
        for line in file:
            url = line.strip().partition("\t")[0].strip()
            if "://" in url and parted(url).url != url:
                yield url
