"""What work may hold of a worker: what it needs, as far as any worker offers it."""

from shared.params import Resources


def within(needs: Resources, gpus: float, memory: float) -> Resources:
    """Return the needs as the best-equipped worker can meet them: else work would wait for ever.

    `gpus` and `memory` (GiB) are what one worker offers at most.
    """
    return Resources(needs.gpu and gpus >= 1, min(needs.memory, memory))
