"""The extractor: task rows in, an activation store out. Needs torch, transformers and nnsight (extra `models`)."""
