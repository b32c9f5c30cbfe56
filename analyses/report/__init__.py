"""`w2s report`: what a folder of results shows, in one HTML file."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .place import NAME, report_place

if TYPE_CHECKING:
    from .page import write_report

__all__ = ["NAME", "report_place", "write_report"]


def __getattr__(name: str) -> Any:
    if name != "write_report":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(".page", __name__).write_report
