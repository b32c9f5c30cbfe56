"""`python -W error -m tests.worlds.on_pretend_device`: neighbours, probes and heads on a device apart from all others.

It prints how far each is from the processor's own, as JSON.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any
from unittest import mock

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
from w2s_probes.probes import AttentionProbe, MLPProbe
from w2s_probes.probes.device_design import DeviceDesign
from w2s_probes.probes.token_rows import KEPT_BYTES
from w2s_probes.relabeling import relabel
from w2s_probes.store import TokenActivations
from w2s_probes.students import HeadLesson, HeadStudent, train_heads

NAME = str(PLACE)
solver: Any = sys.modules["w2s_probes.probes.minimize"]


def rows(n: int, d: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Rows with an outlier column and a common offset, and soft labels that some columns explain."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d), dtype=np.float32)
    score = X[:, :20].sum(axis=1) / 3 + rng.normal(size=n)
    X *= np.sqrt(10 / np.arange(1, d + 1, dtype=np.float32))
    X[:, 3] *= 100
    X += 5
    X.flags.writeable = False  # as a store's may be
    return X, expit(score)


def neighbours() -> float:
    """The share of the graph's entries that are others."""
    X = rows(700, 30)[0].copy()
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


def networks() -> dict[str, float]:
    """The largest differences of MLP probes: a path of two penalties and three folds, and one fit."""
    X, y = rows(300, 12)
    how: dict[str, Any] = {"l2": [1e-3, 1e-1], "cv": 2, "epochs": 3}
    ours, theirs = MLPProbe.path(X, y, device=NAME, **how), MLPProbe.path(X, y, **how)
    alone = [MLPProbe(epochs=3, device=device).fit(X, y).hidden_coef_ for device in (NAME, "cpu")]
    moved = np.abs(theirs.probes[0].hidden_coef_ - theirs.probes[1].hidden_coef_).max()
    return {
        "out_of_fold": float(np.abs(ours.out_of_fold - theirs.out_of_fold).max()),
        "loss": float(np.abs(ours.cv_loss - theirs.cv_loss).max()),
        "weights": float(np.abs(alone[0] - alone[1]).max()),
        "moved by the penalty": float(moved),
    }


def tokens() -> dict[str, float]:
    """The largest differences of attention probes of every kind; tokens are held on the device, and sent there."""
    rng = np.random.default_rng(1)
    lengths = rng.integers(2, 20, size=150)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = rng.standard_normal((offsets[-1], 14), dtype=np.float32) + 2
    y = rng.random(150)
    values[offsets[:-1] + lengths // 2, 0] += 4 * (y > 0.5)
    read = TokenActivations(values, offsets, np.zeros(offsets[-1], np.int32))
    kinds: dict[str, dict[str, Any]] = {
        "one head": {},
        "gated heads": {"gated": True, "heads": 2, "skip_first": True},
        "max": {"pool": "max", "heads": 2, "skip_first": True},
    }
    gaps = {}
    for sent in (False, True):
        with mock.patch("w2s_probes.probes.attention_training.KEPT_BYTES", 40_000 if sent else KEPT_BYTES):
            for name, kind in list(kinds.items())[: 1 if sent else 3]:
                how: dict[str, Any] = {"hidden": 6, "epochs": 2, **kind}
                ours, theirs = (AttentionProbe(**how, device=device).fit(read, y) for device in (NAME, "cpu"))
                scores = [
                    probe.cross_fitted_.token_scores.drop(columns="id").to_numpy(dtype=float)
                    for probe in (ours, theirs)
                ]
                gaps[f"{name}{', sent' if sent else ''}"] = max(
                    float(np.abs(ours.coef_ - theirs.coef_).max()),
                    float(np.abs(scores[0] - scores[1]).max()),
                    float(np.abs(ours.pool(read) - theirs.pool(read)).max()),
                )
    return gaps


def by_name() -> dict[str, float]:
    """The largest differences of what takes a device by name: probes, out-of-sample scores and a head."""
    X, y = rows(1700, 600)
    there, here = ([LogisticProbe(device=device), HeadStudent(epochs=1, device=device)] for device in (NAME, "cpu"))
    gaps = {
        type(ours).__name__: float(np.abs(ours.fit(X, y).coef_ - theirs.fit(X, y).coef_).max())
        for ours, theirs in zip(there, here, strict=True)
    }
    scores = [relabel(LogisticProbe(device=device), X, y, folds=2) for device in (NAME, "cpu")]
    networks = [relabel(MLPProbe(epochs=1, device=device), X[:200], y[:200], folds=2) for device in (NAME, "cpu")]
    for name, (ours, theirs) in {"relabel": scores, "networks": networks}.items():
        gaps[name] = float(np.abs(ours - theirs).max())
    return gaps


def in_halves() -> dict[str, float]:
    """The largest difference of six fits on a device that has room for one at a time; and how many it was given."""
    X, y = rows(1700, 600)
    how: dict[str, Any] = {"l2": [1e-2, 1.0], "cv": 2}
    plain, most = LogisticProbe.path(X, y, device=NAME, **how), [0]
    ordinary = solver._minimize

    def narrow(design: Any, problems: Any, theta: Any) -> Any:
        if len(problems.l2) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nGPU 0")
        most[0] = max(most[0], len(problems.l2))
        return ordinary(design, problems, theta)

    with mock.patch.object(solver, "_minimize", narrow):
        halved = LogisticProbe.path(X, y, device=NAME, **how)
    return {"apart": float(np.abs(plain.out_of_fold - halved.out_of_fold).max()), "at once": float(most[0])}


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
            "fits that meet their labels": fits(1100, 920, [0.0], 2),  # without a fold: fewer rows than columns
            "heads": heads(),
            "networks": networks(),
            "tokens": tokens(),
            "by name": by_name(),
            "in halves": in_halves(),
        }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
