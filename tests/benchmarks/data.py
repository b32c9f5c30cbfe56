"""What to measure with: texts, real ones where W2S_DATA names a folder of datasets, and activations."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2s_probes.io.tables import read_table

WORDS = ["the", "of", "and", "to", "in", "is", "that", "it", "was", "for", "on", "are", "as", "with", "his", "they"]


def short_texts(count: int) -> list[str]:
    """Requests of some ten words (clinc_oos)."""
    return _texts("clinc_oos", ["text"], count, 10)


def long_texts(count: int) -> list[str]:
    """Passages of some hundred words (boolq)."""
    return _texts("boolq", ["passage", "question"], count, 110)


def source() -> str:
    """Where the texts come from."""
    return "clinc_oos and boolq" if _folder("clinc_oos") and _folder("boolq") else "random words"


def _folder(task: str) -> Path | None:
    folder = Path(os.environ["W2S_DATA"]) / task if "W2S_DATA" in os.environ else None
    return folder if folder is not None and (folder / "train.jsonl.gz").exists() else None


def _texts(task: str, fields: list[str], count: int, words: int) -> list[str]:
    rng = np.random.default_rng(0)
    folder = _folder(task)
    if folder is None:
        lengths = rng.poisson(words, size=count) + 1
        return [" ".join(rng.choice(WORDS, size=length)) for length in lengths]
    rows = read_table(folder / "train.jsonl.gz")
    texts = [" ".join(map(str, row)) for row in rows[fields].itertuples(index=False)]
    return [texts[i % len(texts)] for i in rng.permutation(max(count, len(texts)))[:count]]


def activations(rows: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rows (n, d) as a transformer has them, and the factors (n, d) behind them.

    Variances that fall as 1/j in rotated coordinates, two outlier dimensions, a common offset.
    """
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((rows, width), dtype=np.float32)
    rotation = np.linalg.qr(rng.standard_normal((width, width), dtype=np.float32))[0]
    variances = 1 / np.arange(1, width + 1, dtype=np.float32)
    X = (factors * np.sqrt(variances * width / variances.sum())) @ rotation
    X[:, 3] *= 100
    X[:, width // 2] *= 60
    X += rng.standard_normal(width, dtype=np.float32)
    X[:, 3] += 300
    return X, factors
