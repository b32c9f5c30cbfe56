"""Where a report is written, and of which folder: checked before anything is read or drawn."""

from pathlib import Path

from w2s_probes.errors import InputError

NAME = "report.html"
ENDINGS = (".html", ".htm")


def report_place(folder: Path | str, out: Path | str | None = None) -> Path:
    """The file to write: `out`, or report.html in the folder. InputError for no folder, and for no HTML file's name."""
    folder = Path(folder)
    place = Path(out) if out is not None else folder / NAME
    if not place.name.lower().endswith(ENDINGS):  # no file that a report is made of ends so
        raise InputError(f"{place}: a report is an HTML file: its name must end in {' or '.join(ENDINGS)}")
    if place.is_dir():
        raise InputError(f"{place}: is a folder: name a file in it, or move it elsewhere")
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; a report is made of what a run, a sweep or a filter wrote there")
    return place
