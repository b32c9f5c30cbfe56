"""`python -W error -m tests.worlds.on_pretend_device`: neighbours, fits and heads on a device that mixes with no other.

It prints how far each is from the processor's own, as JSON.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from tests.worlds.pretend_device import PLACE, PretendDevice, Pretended
from w2s_probes import LogisticProbe
from w2s_probes.losses import LOSSES, ExplicitConflict
from w2s_probes.neighbors import nearest
from w2s_probes.neighbors.other_indexes import on_device
from w2s_probes.probes.device_design import DeviceDesign
from w2s_probes.students import HeadLesson, train_heads

NAME = str(PLACE)


def rows(n: int, d: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Rows with an outlier column and a common offset, and soft labels that some columns explain."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d), dtype=np.float32)
    score = X[:, :20].sum(axis=1) / 3 + rng.normal(size=n)
    X *= np.sqrt(10 / np.arange(1, d + 1, dtype=np.float32))
    X[:, 3] *= 100
    return X + 5, expit(score)


def neighbours() -> float:
    """The share of the graph's entries that are others."""
    X, _ = rows(700, 30)
    X[600:] = X[:100]
    return float((nearest(X, 7, index=on_device(NAME)).indices != nearest(X, 7).indices).mean())


def fits(n: int, width: int, l2: Sequence[float], cv: int | None) -> dict[str, float]:
    """The largest differences of paths of penalties."""
    X, y = rows(n, width)
    ours = LogisticProbe.path(design := DeviceDesign.of(X, NAME), y, l2=l2, cv=cv)
    theirs = LogisticProbe.path(X, y, l2=l2, cv=cv)
    assert isinstance(getattr(design, "scaled", None), Pretended)
    assert (ours.status == theirs.status).all()
    return {
        "weights": float(np.abs(ours.coef_ - theirs.coef_).max() / np.abs(theirs.coef_).max()),
        "out_of_fold": float(np.abs(ours.out_of_fold - theirs.out_of_fold).max()) if cv else 0.0,
        "excess": float(ours.excess.max()),
    }


def plain(logits: Tensor, soft: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """A loss that somebody has added, of one student alone."""
    losses = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 1] - logits[:, 0], soft, reduction="none")
    return (losses if weight is None else losses * weight).mean()


def heads() -> dict[str, float]:
    """The largest differences of the weights of heads of every loss, and of other kinds of lessons."""
    X, y = rows(300, 12)
    half = np.arange(300) % 2 == 0
    common: dict[str, Any] = {"epochs": 3, "val_labels": y[:60], "warm_up": 0}
    lessons = [HeadLesson(y, loss=loss, **common) for loss in LOSSES]
    lessons += [
        HeadLesson(y, loss="logconf", prior="batch", rows=half, seed=1, **common),
        HeadLesson(y, rows=half, weight=np.linspace(0, 2, 300), l2=1e-3, seed=1, **common),
        HeadLesson(y, conflict=ExplicitConflict(y > 0.5, alpha=0.3), **(common | {"epochs": 2})),  # leaves first
    ]
    first, second = (train_heads(X, lessons, X[:60], device=device) for device in (None, NAME))
    gaps = {}
    for number, (ours, theirs) in enumerate(zip(second, first, strict=True)):
        assert not isinstance(ours, Exception), ours
        assert not isinstance(theirs, Exception), theirs
        gaps[f"{number} {lessons[number].loss}"] = float(np.abs(ours.coef_ - theirs.coef_).max())
    LOSSES["plain"] = plain
    (alone,), (beside,) = (train_heads(X, [HeadLesson(y, loss="plain", epochs=2)], device=d) for d in (None, NAME))
    assert not isinstance(alone, Exception), alone
    assert not isinstance(beside, Exception), beside
    return gaps | {"added": float(np.abs(alone.coef_ - beside.coef_).max())}


def main() -> None:
    """All of it."""
    with PretendDevice():  # type: ignore[no-untyped-call]
        try:
            torch.ones(2, device=PLACE).numpy()
            raise AssertionError("numbers of a device that numpy reads")
        except RuntimeError:
            pass
        found = {
            "neighbours": neighbours(),
            "narrow fits": fits(1700, 600, [0.0, 1e-2, 1.0], 2),
            "wide fits": fits(1640, 1540, [1.0], None),
            "heads": heads(),
        }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
