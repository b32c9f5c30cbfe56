"""One tidy table over many runs, and how it is written: CSV, Parquet, JSONL, Markdown, LaTeX."""

from .collect import CollectedResults, collect_results
from .write import TABLE_FORMATS, write_results

__all__ = ["TABLE_FORMATS", "CollectedResults", "collect_results", "write_results"]
