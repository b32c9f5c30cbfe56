"""Models: finding a checkpoint, describing it without its weights, and loading it."""
