"""Measurements beside their references, taken in one run: `make bench`. Ratios count, seconds depend on the machine."""
