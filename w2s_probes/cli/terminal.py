"""Printing, for all commands."""

import json
import os
import shlex
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from ..printable import visible

if TYPE_CHECKING:
    import pandas as pd

    from ..store.activation_store import ActivationStore
    from .json_answers import JsonAnswer

WIDTH = 100  # columns where the output is no terminal: a file or a pipe has no width of its own
err = Console(stderr=True, highlight=False, emoji=False)
_quiet = False
_as_json = False
_plugins: list[Path] = []


def hush(wanted: bool) -> None:
    """Whether remarks and progress are left out from here on (`--quiet`)."""
    global _quiet
    _quiet = wanted


def quiet() -> bool:
    """Whether remarks and progress are left out."""
    return _quiet


def to_json(wanted: bool) -> None:
    """Whether stdout is for one JSON object from here on (`--json`); all other words then go to stderr."""
    global _as_json
    _as_json = wanted


def answer_json(answer: "JsonAnswer") -> None:
    """Print a command's answer as one JSON object, in one line of ASCII, where `--json` asks for it; else nothing."""
    if _as_json:
        sys.stdout.write(json.dumps(answer.model_dump(), allow_nan=False) + "\n")
        sys.stdout.flush()


def _out() -> Console:
    if _as_json:
        return err
    return Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else WIDTH)


def width() -> int:
    """Columns of the terminal."""
    return _out().width


def say(text: object) -> None:
    """A remark on stdout, such as what has been written; left out with --quiet."""
    if not _quiet:
        answer(text)


def answer(text: object) -> None:
    """A line that was asked for and is in no file: never folded, brackets in it no markup, control characters shown."""
    _out().print(text if isinstance(text, Text) else visible(str(text)), markup=False, soft_wrap=True)


def answer_text(text: str) -> None:
    """A text of several lines, as it is, for other programs."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def with_plugins(paths: list[Path]) -> None:
    """The plugins that were typed, which the next command needs as well."""
    global _plugins
    here = Path.cwd()
    _plugins = [path.relative_to(here) if path.is_relative_to(here) else path for path in paths]


def next_command(*words: object, max_memory: str | None = None, where: str = "") -> None:
    """The command that one would type next, filled in, ready for a shell; under the limit of memory that was typed.

    `where` it is to be typed, unless that is here.
    """
    limit = () if max_memory is None else ("--max-memory", max_memory)
    plugins = [word for path in _plugins for word in ("--plugin", path)]
    say(f"Next{where and f', {where}'}: {shlex.join(map(str, (*words, *limit, *plugins)))}")


def propose_reading(store: "ActivationStore", rows: list[Path], folder: Path) -> None:
    """Propose a sweep of a store, or of every token an attention probe, whose result goes into `folder`.

    With the first row file, where that holds labels, and of no row that the store has left out.
    """
    from ..io.tables import read_table
    from ..rows.ids import with_ids
    from ..store.manifest import MANIFEST

    table, left_out = read_table(rows[0]), store.manifest.notes.get("left_out", [])
    labelled = "label" in table
    lacking = labelled and left_out and with_ids(table, str(rows[0]))["id"].isin(left_out).any()
    labels = rows[0] if labelled and not lacking else "LABELS"
    if store.manifest.ragged:
        layer = store.layers[len(store.layers) // 2]
        next_command("w2s", "tokens", store.path, labels, "--layer", layer, "--out", folder / "tokens.jsonl")
    else:
        next_command("w2s", "sweep", store.path, labels, "--out", folder / "sweep.csv")
    if lacking:
        say(f"(LABELS: {rows[0]} without the rows left out, whose ids are `left_out` in {store.path / MANIFEST})")


def say_normed(store: "ActivationStore", layers: Collection[int]) -> None:
    """Say where one of the layers that are read was imported after the model's final norm."""
    layer = store.manifest.after_norm
    if layer is not None and layer in layers:
        say(f"{store.path}: its layer {layer} is after the model's final norm, unlike what `w2s extract` stores")


def cache_folder() -> Path:
    """The folder of stores without a given place: $W2S_CACHE, or ~/.cache/w2s-probes."""
    return Path(os.environ.get("W2S_CACHE") or Path.home() / ".cache" / "w2s-probes")


def show(frame: "pd.DataFrame", by: str, *, asked: bool = False) -> None:
    """Print a DataFrame as a table with a heading line for each value of the column `by`.

    Numbers are shown to three places and, like intervals, on the right. With --quiet only what was `asked` for, and
    is in no file, is shown.
    """
    if _quiet and not asked:
        return
    import pandas as pd
    from rich import box
    from rich.table import Table

    columns = [name for name in frame if name != by]
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        text = pd.api.types.is_string_dtype(frame[name]) and name != "PGR"
        shown.add_column(Text(visible(str(name))), justify="left" if text else "right", no_wrap=True)
    for heading, part in frame.groupby(by, sort=False):
        shown.add_row(Text(visible(str(heading)), style="bold"))
        for row in part[columns].itertuples(index=False):
            shown.add_row(*(Text(f"{cell:.3f}" if isinstance(cell, float) else visible(str(cell))) for cell in row))
        shown.add_section()
    _out().print(shown)
