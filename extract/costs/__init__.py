"""Costs of an extraction before it is run: tokens, operations, memory, disk and time."""
