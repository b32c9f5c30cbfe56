"""Notebooks, and the small world that they look at."""

import warnings
from importlib import import_module

with warnings.catch_warnings():
    # In a notebook without ipywidgets, tqdm's first import says that its bars will be of text. None is shown anyway.
    warnings.filterwarnings("ignore", message="IProgress not found")
    import_module("tqdm.auto")
