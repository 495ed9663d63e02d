"""A place in a gang: a machine that starts processes of its own, or one process that others have started."""

import socket
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Machine:
    """One of several machines, or the only one; torchrun starts its processes."""

    number: int | None = 0
    """0 = the first, where all meet; None = torchrun gives numbers, and who has the address of the meeting leads."""
    count: int = 1
    meeting: str = ""
    """host:port on the first machine."""
    processes: str = ""
    """What the cluster says of processes on each machine: a number or `gpu`; "" = nothing."""

    @property
    def several(self) -> bool:
        """Whether other commands belong to the gang."""
        return self.count > 1

    @property
    def leads(self) -> bool:
        """Whether this command is the one that speaks for the gang."""
        return is_here(self.meeting.rpartition(":")[0]) if self.number is None else self.number == 0

    @property
    def title(self) -> str:
        """What people call it, and its files."""
        return f"machine-{socket.gethostname() if self.number is None else self.number}"


@dataclass(frozen=True)
class Rank:
    """One process of a gang, which the cluster starts as it starts the others."""

    VARIABLES: ClassVar = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    """What torch reads of a process's place."""
    rank: int
    world: int
    local_rank: int
    local_world: int
    host: str
    port: int

    @property
    def several(self) -> bool:
        """Whether other commands belong to the gang."""
        return self.world > 1

    @property
    def leads(self) -> bool:
        """Whether this command is the one that speaks for the gang."""
        return self.rank == 0

    @property
    def title(self) -> str:
        """What people call it, and its files."""
        return f"rank-{self.rank}"

    def environment(self, gpus: int) -> dict[str, str]:
        """Return what torch reads. Where a cluster shows each process its own GPU alone, that is number 0."""
        local_rank = 0 if gpus == 1 else self.local_rank
        facts = (self.rank, self.world, local_rank, self.local_world, self.host, self.port)
        return {name: str(fact) for name, fact in zip(self.VARIABLES, facts, strict=True)}


Place = Machine | Rank


def is_here(host: str) -> bool:
    """Tell whether a name or address is this machine's."""
    if host in {"localhost", "127.0.0.1", socket.gethostname(), socket.getfqdn()}:
        return True
    try:
        return bool({one[4][0] for one in socket.getaddrinfo(host, None)} & _addresses())
    except OSError:
        return False


def _addresses() -> set[str | int]:
    return {one[4][0] for one in socket.getaddrinfo(socket.gethostname(), None)}


def address_towards(meeting: str) -> str | None:
    """Return this machine's address on the way to host:port: a name that a pod has need not mean anything elsewhere."""
    host, _, port = meeting.rpartition(":")
    for target in (host, socket.gethostname()):
        try:
            family, kind, protocol, _, place = socket.getaddrinfo(target, int(port), type=socket.SOCK_DGRAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.connect(place)  # of a datagram socket: chooses a way, and sends nothing
                return str(probe.getsockname()[0])
        except OSError:  # the first machine's name may not be known yet
            continue
    return None
