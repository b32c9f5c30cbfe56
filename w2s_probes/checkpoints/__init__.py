"""Checkpoints of language models: the files that decide their numbers, opening them, and texts as tokens."""
