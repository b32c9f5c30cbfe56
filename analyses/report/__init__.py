"""`w2s report`: what a folder of results shows, in one HTML file."""

from .page import NAME, write_report

__all__ = ["NAME", "write_report"]
