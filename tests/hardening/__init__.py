"""Attempts to break the commands: changed inputs, kills, and flipped bits; `python -m tests.hardening` makes many."""
