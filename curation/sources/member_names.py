"""The names in one archive, each given once, and the places of their bytes."""

from collections import Counter
from typing import NamedTuple

from curation.sources.tar_headers import Member
from shared.images.file_names import printable


class UniqueMember(NamedTuple):
    """A member under a name that is its alone."""

    name: str
    """In text; numbered when it came before: `a.jpg~2`."""
    member: Member
    """Where its bytes are, under the name that the archive gives it."""
    time: int
    """How many members before had the archive's name."""


class MemberNames:
    """Gives every member a name of its own."""

    def __init__(self) -> None:
        self._places: dict[str, Member] = {}
        self._given: set[str] = set()
        self._times: Counter[str] = Counter()

    def add(self, member: Member) -> UniqueMember:
        """Name a member; a link is given the place of what it leads to."""
        text, time = printable(member.name), self._times[member.name]
        self._times[member.name] += 1
        name, number = text, 1
        while name in self._given:
            number += 1
            name = f"{text}~{number}"
        self._given.add(name)
        if member.link is not None:
            target = self._places.get(member.link)
            why = target.problem if target else f"a link to {printable(member.link)}, which is not in the tar"
            target = target or member
            member = Member(member.name, target.offset, target.size, problem=why)
        self._places.setdefault(member.name, member)
        return UniqueMember(name, member, time)
