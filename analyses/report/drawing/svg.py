"""Drawing: elements of SVG with everything escaped, scales, and round numbers on axes."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from .cells import shown


@dataclass(frozen=True)
class Scale:
    """From data to the page, on a logarithm where asked for."""

    low: float
    high: float
    start: float  # where `low` is drawn
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Where a value is drawn; beyond the ends at the ends."""
        low, high, at = (math.log(x) if self.log else x for x in (self.low, self.high, max(value, self.low)))
        share = (min(at, high) - low) / (high - low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """Round numbers within the ends."""
        if self.log:
            decades = range(math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1)
            found = [10.0**d for d in decades]
            if len(found) < 3:
                found = [m * 10.0**d for d in range(math.floor(math.log10(self.low)), decades.stop) for m in (1, 2, 5)]
            kept = [x for x in found if self.low * (1 - 1e-9) <= x <= self.high * (1 + 1e-9)]
            return kept[:: math.ceil(len(kept) / most)] if kept else [self.low, self.high]
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [round(i * step, 10) for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def around(values: Iterable[float], *, least: float = 0.02, pad: float = 0.06) -> tuple[float, float]:
    """The ends of an axis for these values, infinite ones left out, never narrower than `least`."""
    known = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(known), max(known)
    more = max((high - low) * pad, (least - (high - low)) / 2)
    return low - more, high + more


def tag(name: str, content: str = "", **attributes: object) -> Markup:
    """An element; an underscore in an attribute's name is a hyphen, `class_` is class, numbers are rounded."""
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _short(value)) for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, written, content)


def _short(value: object) -> object:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value


def text(content: object, x: float, y: float, class_: str = "", anchor: str = "start") -> Markup:
    """A line of text."""
    more = {"class_": class_} if class_ else {}
    return tag("text", str(content), x=x, y=y, text_anchor=anchor, **more)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return tag("path", d=f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}", class_=class_)


def marker(shape: str, x: float, y: float, class_: str) -> Markup:
    """A point that is told from others by its shape, and not by colour alone."""
    r = 4.0
    if shape == "dot":
        return tag("circle", cx=x, cy=y, r=r, class_=class_)
    outline = {
        "square": f"M{x - r:.1f} {y - r:.1f}h{2 * r:.0f}v{2 * r:.0f}h-{2 * r:.0f}z",
        "diamond": f"M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5-5z",
        "triangle": f"M{x:.1f} {y - 5:.1f}l5 8.5h-10z",
        "cross": f"M{x - r:.1f} {y - r:.1f}l{2 * r:.0f} {2 * r:.0f}m0-{2 * r:.0f}l-{2 * r:.0f} {2 * r:.0f}",
    }[shape]
    return tag("path", d=outline, class_=class_)


def tick_label(value: float) -> str:
    """A number on an axis, as short as it can be."""
    if value and (abs(value) < 1e-3 or abs(value) >= 1e5):
        return f"1e{math.log10(abs(value)):.0f}" if math.log10(abs(value)).is_integer() else f"{value:.0e}"
    return shown(value, "g")
