"""A sweep in the terminal: layers down, values across, colour by how good."""

from typing import TYPE_CHECKING

import numpy as np
from rich.style import Style
from rich.text import Text

from ..probes.registry import PROBES
from . import terminal

if TYPE_CHECKING:
    from ..sweep import Best, SweepResult
    from ..sweep.student_choice import BestStudent

WIDE = 5  # columns of a cell
COLD, NEUTRAL, WARM = (33, 102, 172), (247, 247, 247), (178, 24, 43)  # a diverging scale for every kind of eye
MEASURES = {"auroc_gain": "AUROC less that of the weak labels", "weak_auroc": "AUROC against the weak labels"}


def show(result: "SweepResult", best: "Best", width: int) -> None:
    """One map a probe, in hundredths, `*` at the best cell."""
    metric, rows = result.shown_metric(best.labels)
    for probe in result.probes:
        grid = result.grid(probe, metric, rows, best.labels)
        if grid.empty:
            continue
        columns = [float(value) for value in grid.columns]
        shown = _spread(columns, max(3, (width - 6) // WIDE), best.k if best.k is not None else best.l2)
        kept = "" if len(shown) == len(columns) else f", {len(shown)} of {len(columns)} values"
        terminal.say(f"{best.labels}, {probe}: {MEASURES[metric]}, in hundredths, {rows} rows{kept}")
        named = PROBES[probe].value is not None
        terminal.say(
            f"{PROBES[probe].value or '':>5} "
            + "".join(f"{_short(value) if named else '':>{WIDE - 1}} " for value in shown)
        )
        centre = 0.0 if metric == "auroc_gain" else 0.5
        far = float(np.nanmax(np.abs(grid.to_numpy(dtype=float) - centre))) or 1.0
        for layer, line in grid.iterrows():
            text = Text(f"{layer:>5} ")
            for value in shown:
                chosen = best.probe == probe and best.layer == layer and (not named or value in (best.k, best.l2))
                text.append_text(_cell(float(line[value]), centre, far, chosen))
            terminal.say(text)


def show_students(result: "SweepResult", best: "BestStudent") -> None:
    """One map of all students, a line each and layers across, in hundredths, `*` at the best one."""
    metric, rows = result.shown_metric(best.labels)
    rows = "held-out" if best.held_out else "stopping"
    grid = result.students(metric, rows, best.labels)
    if grid.empty:
        return
    terminal.say(f"{best.labels}, students: {MEASURES[metric]}, in hundredths, {rows} rows, mean over seeds")
    wide = max(map(len, grid.columns))
    terminal.say(f"{'layer':>{wide}} " + "".join(f"{layer:>{WIDE - 1}} " for layer in grid.index))
    centre = 0.0 if metric == "auroc_gain" else 0.5
    far = float(np.nanmax(np.abs(grid.to_numpy(dtype=float) - centre))) or 1.0
    for name, line in grid.items():
        text = Text(f"{name:>{wide}} ")
        for layer, value in line.items():
            text.append_text(_cell(float(value), centre, far, name == best.name and layer == best.layer))
        terminal.say(text)


def _cell(value: float, centre: float, far: float, chosen: bool) -> Text:
    if np.isnan(value):
        return Text(f"{'-':>{WIDE - 1}} ")
    hundredths = f"{100 * value:+.0f}" if centre == 0 else f"{100 * value:.0f}"
    return Text(f"{hundredths:>{WIDE - 1}}{'*' if chosen else ' '}", _colour((value - centre) / far))


def _colour(share: float) -> Style:
    """From cold at -1 over white at 0 to warm at 1."""
    end = WARM if share > 0 else COLD
    mixed = [round(a + (b - a) * abs(share)) for a, b in zip(NEUTRAL, end, strict=True)]
    dark = sum(mixed) < 380
    return Style.parse(f"{'white' if dark else 'black'} on rgb({mixed[0]},{mixed[1]},{mixed[2]})")


def _spread(values: list[float], most: int, best: float | None) -> list[float]:
    """At most `most` of the values, evenly, the first, the last and the best among them."""
    if len(values) <= most:
        return values
    places = set(np.linspace(0, len(values) - 1, most - 1).round().astype(int).tolist())
    return [value for at, value in enumerate(values) if at in places or value == best]


def _short(value: float) -> str:
    """A value in four characters: 95, .36, 8e-4, 2e4."""
    if value == 0 or 10 <= value < 1000:
        return f"{value:.0f}"
    if 0.01 <= value < 10:
        return f"{value:.2g}".removeprefix("0")
    digit, _, power = f"{value:.0e}".partition("e")
    return f"{digit}e{int(power)}"
