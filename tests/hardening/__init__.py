"""Long trials of what must never happen: see __main__.py."""
