"""Checkpoints of language models: the files that decide their numbers, opening them, their blocks, texts as tokens.

The only place that opens or tokenizes with transformers; extraction and fine-tuning both go through it. `files` is
light; every other module here loads torch.
"""
