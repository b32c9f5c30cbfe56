"""Colours that the colour-blind can tell apart and that differ in grey, and how they are written into HTML."""

from html import escape

# Okabe and Ito's palette (2008), in which no two are confused by any common kind of colour blindness.
BLUE, ORANGE, GREEN, VERMILION, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9"
PURPLE = "#CC79A7"
GREY, PALE, DARK = "#8C8C8C", "#D9D9D9", "#1A1A1A"
LOWER, MIDDLE, UPPER = (33, 102, 172), (247, 247, 247), (224, 130, 20)  # blue, white, orange: lightest at nothing


def diverging(value: float, extreme: float) -> str:
    """The colour, `#rrggbb`, of a value between -extreme (blue) and extreme (orange); beyond is as at the end."""
    share = 0.0 if extreme <= 0 else max(-1.0, min(1.0, value / extreme))
    end = UPPER if share > 0 else LOWER
    mixed = [round(m + (e - m) * abs(share)) for m, e in zip(MIDDLE, end, strict=True)]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def ink(background: str) -> str:
    """Black or white, whichever is read more easily on a colour `#rrggbb` (relative luminance of WCAG 2)."""
    parts = [int(background[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#ffffff" if luminance < 0.18 else "#111111"


def swatch(text: str, value: float, extreme: float, title: str) -> str:
    """A piece of text on the colour of its value, with a tooltip; both are escaped."""
    colour = diverging(value, extreme)
    style = f"background:{colour};color:{ink(colour)};padding:1px 0;border-radius:2px"
    return f'<span style="{style}" title="{escape(title)}">{escape(text)}</span>'


def legend(extreme: float, low: str, high: str, unit: str, centre: float = 0.0) -> str:
    """The scale from extreme below the centre, through white at it, to extreme above it, with what its ends mean."""
    stops = ",".join(diverging(extreme * i / 4, extreme) for i in range(-4, 5))
    bar = f'<span style="display:inline-block;width:9em;height:.8em;background:linear-gradient(90deg,{stops})"></span>'
    ends = f"≤ {centre - extreme:+.2g} {bar} ≥ {centre + extreme:+.2g}"
    middle = f"white: {centre:+.2g}" if centre else "white: 0"
    return f'<span style="font-size:85%">{escape(low)} {ends} {escape(high)} &nbsp;({middle}; {escape(unit)})</span>'
