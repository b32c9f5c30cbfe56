"""A model larger than memory, block by block: its weights in files, the states between blocks, the engine."""
