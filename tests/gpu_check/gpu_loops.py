"""MLP and attention probes, whose training is a loop of torch there: the processor's numbers, and the time."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from w2s_probes.probes import AttentionProbe, MLPProbe
from w2s_probes.probes.mlp import MLPPath
from w2s_probes.store import TokenActivations

from .checks import Check, Finding, Setting, clock
from .gpu_probes import APART, activations


def there(setting: Setting) -> str:
    """The device by a name that has torch do the work, also where that is the processor: `cpu` is NumPy's there."""
    return setting.device if setting.on_gpu else f"{setting.device}:0"


def networks(setting: Setting) -> Iterator[Finding]:
    """A path of four penalties on all rows and without each of five folds: 24 networks."""
    rows, width, epochs = setting.of((10_000, 4096, 3), (300, 20, 2))
    X, y = activations(setting, rows, width)
    how: dict[str, Any] = {"l2": [1e-4, 1e-3, 1e-2, 1e-1], "cv": 5, "epochs": epochs}
    MLPProbe.path(X[:200], y[:200], l2=[1e-2], cv=2, epochs=1, device=there(setting))  # loads what the first one loads
    found: dict[str, MLPPath] = {}

    def on(device: str) -> float:
        return clock(lambda: found.update({device: MLPProbe.path(X, y, device=device, **how)}), setting.device)

    ours, theirs = on(there(setting)), on("cpu")
    apart = float(np.abs(found[there(setting)].out_of_fold - found["cpu"].out_of_fold).max())
    what = f"24 networks, {rows:,} x {width:,}, {epochs} epochs"
    yield Finding("", f"{what}: probabilities", apart, "absolute", 0.0, "CPU", apart, APART, at_least=False)
    yield Finding("", what, ours, "s", theirs, "this CPU, one thread", theirs / ours)


def attention(setting: Setting) -> Iterator[Finding]:
    """One attention probe with two gated heads: training, and what it says of every token."""
    rows, width, longest, epochs = setting.of((600, 2048, 200, 4), (120, 16, 12, 2))
    draw = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(draw.integers(2, longest, size=rows))])
    values = draw.standard_normal((offsets[-1], width), dtype=np.float32)
    y = draw.random(rows)
    marked = (offsets[:-1] + offsets[1:]) // 2
    values[marked, 0] += 4 * (y > 0.5)
    tokens = TokenActivations(values, offsets, np.zeros(offsets[-1], np.int32))
    how: dict[str, Any] = {"hidden": 32, "epochs": epochs, "gated": True, "heads": 2, "skip_first": False}
    found: dict[str, AttentionProbe] = {}

    def on(device: str) -> float:
        return clock(
            lambda: found.update({device: AttentionProbe(device=device, **how).fit(tokens, y)}), setting.device
        )

    ours, theirs = on(there(setting)), on("cpu")
    said = [found[name].token_scores(tokens)["attention"].to_numpy() for name in (there(setting), "cpu")]
    p = [found[name].predict_proba(tokens)[:, 1] for name in (there(setting), "cpu")]
    what = f"attention probe, {rows} rows of {len(values):,} tokens x {width:,}, {epochs} epochs"
    for name, (on_device, here) in {"attention": said, "probabilities": p}.items():
        apart = float(np.abs(on_device - here).max())
        yield Finding("", f"{what}: {name}", apart, "absolute", 0.0, "CPU", apart, APART, at_least=False)
    yield Finding("", what, ours, "s", theirs, "this CPU", theirs / ours)


CHECKS = [
    Check("networks", 40, networks),
    Check("attention probe", 30, attention),
]
