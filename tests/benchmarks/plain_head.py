"""The head's protocol as a plain loop of PyTorch, one head at a time: what `train_heads` is measured against."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from w2s_probes.losses import Objective
from w2s_probes.randomness import torch_seed
from w2s_probes.students import HeadLesson
from w2s_probes.students.stopping import Criterion
from w2s_probes.students.threads import one_thread


@dataclass
class PlainHead:
    """A trained head, on raw activations."""

    coef: NDArray[np.float64]  # (d,)
    intercept: float
    n_epochs: int
    alpha: float | None

    def margins(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds (m,) of rows (m, d)."""
        return X @ self.coef + self.intercept


@one_thread()
def plain_head(
    X: NDArray[np.float32],
    lesson: HeadLesson,
    X_val: NDArray[np.float32] | None = None,
    *,
    batch_size: int = 128,
    seed: int = 0,
) -> PlainHead:
    """A layer of two logits, autograd and torch's Adam; a masked head skips the rows of a batch that do not count."""
    taught = np.ones(len(X), dtype=bool) if lesson.rows is None else np.asarray(lesson.rows)
    labels = np.asarray(lesson.labels, dtype=np.float64)
    objective = Objective(lesson.loss, alpha=lesson.alpha, warm_up=lesson.warm_up, prior=lesson.prior, gather=False)
    objective.fit(labels[taught])
    begun = lesson.start
    by = taught if begun is None else np.ones(len(X), dtype=bool) if begun.rows is None else np.asarray(begun.rows)
    center = X[by].mean(axis=0, dtype=np.float64)
    centered = X - center.astype(np.float32)
    scale = np.sqrt(np.square(centered[by]).mean(axis=0, dtype=np.float64))
    rows = torch.from_numpy(centered / scale.astype(np.float32))
    p, mask = torch.from_numpy(labels).float(), torch.from_numpy(taught)
    weight = None
    if lesson.weight is not None:
        given = np.asarray(lesson.weight, dtype=np.float64)
        weight = torch.from_numpy((given / given[taught].mean()).astype(np.float32))
    criterion = None if lesson.val_labels is None else Criterion.of(lesson.stop, _vector(lesson.val_labels))
    val = None if X_val is None else torch.from_numpy(((X_val - center) / scale).astype(np.float32))

    generator = torch.Generator().manual_seed(torch_seed(seed, "head"))  # of the order
    first = torch.empty(2, X.shape[1]).normal_(std=0.01 * X.shape[1] ** -0.5, generator=generator)
    if lesson.seed != seed:
        own = torch.Generator().manual_seed(torch_seed(lesson.seed, "head"))
        first = torch.empty(2, X.shape[1]).normal_(std=0.01 * X.shape[1] ** -0.5, generator=own)
    head = torch.nn.Linear(X.shape[1], 2)
    with torch.no_grad():
        head.weight.copy_(first)
        head.bias.zero_()
        if begun is not None:
            head.weight.zero_()
            head.weight[1] = torch.from_numpy(begun.coef * scale)
            head.bias[1] = begun.intercept + float(begun.coef @ center)
    optimizer = torch.optim.Adam(head.parameters(), lr=lesson.learning_rate)
    batch = min(batch_size, max(1, len(X) // 16))
    objective.plan(lesson.epochs * -(-len(X) // batch))

    def state() -> tuple[NDArray[np.float64], float]:
        with torch.no_grad():
            return (head.weight[1] - head.weight[0]).double().numpy(), float(head.bias[1] - head.bias[0])

    best, since, chosen = -np.inf, 0, (*state(), lesson.epochs, objective.own_weight)
    for epoch in range(1, lesson.epochs + 1):
        for part in torch.randperm(len(X), generator=generator).split(batch):  # type: ignore[no-untyped-call]
            if lesson.rows is not None:
                part = part[mask[part]]
            loss = torch.zeros((), requires_grad=True)
            if len(part):
                loss = objective(head(rows[part]), p[part], weight=None if weight is None else weight[part])
            if lesson.l2:
                loss = loss + lesson.l2 * (head.weight[1] - head.weight[0]).square().sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            for parameter in head.parameters():
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)  # Adam moves on
            optimizer.step()
            objective.advance()
        if criterion is None or val is None:
            chosen = (*state(), epoch, objective.own_weight)
            continue
        if objective.ramping and epoch < lesson.epochs:
            continue
        with torch.no_grad():
            logits = head(val)
        score = criterion.score((logits[:, 1] - logits[:, 0]).numpy())
        since += 1
        if score > best:
            best, chosen, since = score, (*state(), epoch, objective.own_weight), 0
        if since >= lesson.patience:
            break
    weights, bias, epochs, alpha = chosen
    coef = weights / scale
    return PlainHead(coef, bias - float(coef @ center), epochs, alpha)


def _vector(values: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)
