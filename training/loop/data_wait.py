"""Notices a run that waits for its data, and says once what would help."""

from collections import deque

STEPS = 100
"""Waiting is judged over so many steps."""
TOO_LONG = 0.2
"""Share of the time that may pass in waiting without a word."""
ADVICE = "give more compute.workers where cores are idle, leave compute.augment at auto, or publish smaller images"


class DataWait:
    """How much of the time since the start went by in waiting for data."""

    def __init__(self) -> None:
        self.recent: deque[tuple[float, float]] = deque(maxlen=STEPS)
        self.seconds = self.waited = 0.0
        self.advised = False

    def add(self, seconds: float, waited: float) -> str | None:
        """Count a step; return a line of advice the first time that the last steps waited too long."""
        self.recent.append((seconds, waited))
        self.seconds, self.waited = self.seconds + seconds, self.waited + waited
        share = sum(w for _, w in self.recent) / max(sum(s for s, _ in self.recent), 1e-9)
        if self.advised or len(self.recent) < STEPS or share <= TOO_LONG:
            return None
        self.advised = True
        return f"the loader does not keep up: data wait {share:.0%} of the last {STEPS} steps · {ADVICE}"

    def summary(self) -> dict[str, float | bool]:
        """Return what a run's summary says of it."""
        return {"data_wait": round(self.waited / max(self.seconds, 1e-9), 4), "loader_kept_up": not self.advised}
