"""Names for sources that end alike: `--source a/train --source b/train` are a/train and b/train."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from curation.sources.listing import Listed


def named_apart(sources: Sequence[Listed]) -> list[dict[str, Any]]:
    """Return the sources as plain values; those of one title are named by as much of their path as tells them apart."""
    titles = Counter(source.title for source in sources)
    alike = [source for source in sources if titles[source.title] > 1]
    depth, names = 1, dict.fromkeys((source.url for source in alike), "")
    while len(set(names.values())) < len(names) and depth <= max(len(_parts(url)) for url in names):
        depth += 1
        names = {url: "/".join(_parts(url)[-depth:]) for url in names}
    return [source.model_dump() | ({"name": names[source.url]} if source.url in names else {}) for source in sources]


def _parts(url: str) -> list[str]:
    return [part for part in url.replace("://", "/").split("/") if part]
