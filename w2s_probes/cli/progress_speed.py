"""Speed of counted work since its first report, and the time that the rest will take."""

import time
from dataclasses import dataclass, field


@dataclass
class Speed:
    """The speed of a count; what was there at the first report was not done here and counts as nothing."""

    _began: float = field(default_factory=time.monotonic)
    _first: tuple[float, int] | None = None
    _last: tuple[int, int | None] = (0, None)

    def at(self, done: int, total: int | None) -> None:
        """Report a count. One out of another total is of another work, whose speed is measured anew."""
        if self._first is None or total != self._last[1]:
            self._first = time.monotonic(), done
        self._last = done, total

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def rate(self) -> float:
        """Counts a second; 0 while that is unknown."""
        if self._first is None:
            return 0.0
        began, first = self._first
        seconds = time.monotonic() - began
        return (self._last[0] - first) / seconds if seconds > 0 else 0.0

    def left(self) -> float | None:
        """Seconds to the end; None while that is unknown."""
        done, total = self._last
        rate = self.rate()
        return None if total is None or not rate else max(total - done, 0) / rate


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    full = int(seconds)
    return f"{full // 3600}:{full // 60 % 60:02d}:{full % 60:02d}"
