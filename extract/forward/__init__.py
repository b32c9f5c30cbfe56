"""The forward pass: the one trace, the engine that runs it batch by batch, and what guards its numbers."""
