"""Named independent random streams of one seed."""

import hashlib

import numpy as np


def seed_sequence(seed: int, *names: str | int) -> np.random.SeedSequence:
    """The independent stream of `seed` with this name.

    The name is hashed into the spawn key, so that adding or re-ordering streams never changes the others.
    """
    digest = hashlib.sha256("\x1f".join(map(str, names)).encode()).digest()
    return np.random.SeedSequence(seed, spawn_key=tuple(np.frombuffer(digest[:16], dtype=np.uint32).tolist()))


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """A generator on the named stream of `seed`.

    >>> first, again, other = (stream(0, name).integers(1000) for name in ("folds", "folds", "bootstrap"))
    >>> bool(first == again), bool(first == other)
    (True, False)
    """
    return np.random.default_rng(seed_sequence(seed, *names))


def torch_seed(seed: int, *names: str | int) -> int:
    """An integer for `torch.Generator.manual_seed` from the named stream of `seed`."""
    return int(seed_sequence(seed, *names).generate_state(1, dtype=np.uint64)[0] >> np.uint64(1))
