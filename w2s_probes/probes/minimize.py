"""Many L2-penalised logistic fits on one design at once: preconditioned L-BFGS, a fit to a row of each matrix.

Each iteration is one product with the matrix and one with its transpose for all fits together. Every fit has its
own direction, step and memory (Liu and Nocedal 1989); the first inverse Hessian is (c·XᵀX/n + 2 l2)⁻¹ with c the
fit's mean p(1-p), so at c = ¼ the bound of Böhning 1992. The step is where the derivative along the direction,
which convexity makes monotone, has come close to 0: rounding of a loss near its minimum cannot stall that.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..memory_limit import room
from .bounds import column_excess, least_loss, sees_all
from .design import Design
from .interpolate import ROUNDING, met_labels
from .matrices import column, dots, doubled, host, products
from .problems import CONVERGED, SEPARABLE, STOPPED, Problems, Solutions
from .spectrum import EXACT, Spectrum
from .starting import begin_nearer, start

MEMORY = 10  # pairs of steps and changes of gradient
MOST_STEPS = 500
TOGETHER = 512  # fits in one batch: matrices (fits, rows) stay small
BATCH = 1 << 25  # fits times rows in one batch at most, where no limit to memory says less
NUMBERS = 112  # bytes of a fit and row: some twelve numbers, of 4 bytes and, when they are checked, of 8
GOAL = {np.dtype(np.float32): 3e-8, np.dtype(np.float64): 1e-16}  # excess over the minimum, of the objective
ACCEPTED = 3e-7  # as GOAL, when checked in float64: what the range up to 1e-6 leaves to an estimate of the excess
CAUTION = 3  # by which an excess is said to be more than its estimate
PATIENCE = {np.dtype(np.float32): 20, np.dtype(np.float64): 100}  # steps without progress
SLOPE_LEFT = 0.5  # of the derivative along the direction, at an accepted step (curvature condition)
MOST_TRIALS = 12  # of a step's size
FLATTEST = 1e-4  # mean p(1-p) assumed at least: saturated fits would get infinite steps
SEPARATED = 1e-4  # loss in nats from which fits without a minimum are left, all rows being right


def minimize(design: Design, problems: Problems, theta: NDArray[np.float64] | None = None) -> Solutions:
    """Minimise Σ weights·BCE(label, sigmoid(θ·[x, 1])) + l2·‖w‖² for every problem.

    A float32 design is checked in float64 at the end, and what float32 could not settle goes on in float64. `theta`
    (k, r + 1) are parameters to begin at, such as solutions of problems that are much alike.
    """
    begun = start(design, problems) if theta is None else theta
    limit, n = room(), problems.labels.shape[1]
    together = max(1, min(TOGETHER, (BATCH if limit is None else limit // (2 * NUMBERS)) // n))
    with design.computing():
        solved = met_labels(design, problems)
        if theta is None:
            begin_nearer(begun, design, problems, solved)
        rest = np.flatnonzero(np.isnan(solved.excess))
        while len(rest):
            fits, rest = rest[:together], rest[together:]
            try:
                part = _minimize(design, problems[fits], begun[fits])
            except RuntimeError as error:
                if len(fits) == 1 or not design.has_room_after(error):
                    raise
                rest, together = np.concatenate([fits, rest]), len(fits) // 2
                continue
            for name in Solutions.__annotations__:
                getattr(solved, name)[fits] = getattr(part, name)
    return solved


def _minimize(design: Design, problems: Problems, theta: NDArray[np.float64]) -> Solutions:
    dtype = design.matrix.dtype
    result = _Batch(design, problems, theta, dtype, design.spectrum).run(GOAL[dtype])
    if dtype != np.float64:
        checked = _Batch(design, problems, result.theta, np.dtype(np.float64), design.spectrum.cautious())
        excess = checked.excess(checked.preconditioned())
        result.excess[:] = np.where(result.status == SEPARABLE, np.nan, excess)
        again = np.flatnonzero((result.status != SEPARABLE) & ~(excess <= ACCEPTED))
        if len(again):
            again_by = _Batch(design, problems[again], result.theta[again], np.dtype(np.float64), design.precise)
            better = again_by.run(ACCEPTED / 10)
            result.n_iter[again] += better.n_iter
            result.theta[again], result.excess[again], result.status[again] = (
                better.theta,
                better.excess,
                better.status,
            )
    settled = result.status != SEPARABLE
    result.excess[settled] = np.clip(CAUTION * result.excess[settled], ROUNDING, 1)
    _distrust(design, problems, result)
    result.status[settled] = np.where(result.excess[settled] <= CAUTION * ACCEPTED, CONVERGED, STOPPED)
    _choose(design, problems, result.theta)
    return result


def _distrust(design: Design, problems: Problems, solutions: Solutions) -> None:
    """Add to the excess what the spectrum cannot see; a bound in place of one that is then too large."""
    fits = np.flatnonzero(solutions.status != SEPARABLE)
    if sees_all(design) or not len(fits):
        return
    batch = _Batch(design, problems[fits], solutions.theta[fits], np.dtype(np.float64), design.spectrum)
    objective = np.maximum(batch.objective(), np.finfo(np.float64).tiny)
    unseen = column_excess(design, host(batch.gradient[:, :-1]), host(batch.weights), batch.l2) / objective
    excess = solutions.excess[fits] + CAUTION * unseen
    bound = np.clip(1 - least_loss(host(batch.labels), host(batch.weights)) / objective, ROUNDING, 1)
    solutions.excess[fits] = np.where(excess > CAUTION * ACCEPTED, bound, excess)


def _choose(design: Design, problems: Problems, theta: NDArray[np.float64]) -> None:
    """Of the minima that rows no more than columns leave without a penalty, take the one of smallest weights.

    It is the limit of small penalties. The solver's own would be the smallest in a metric in which rows that were
    held out are orthogonal to the others, so that nothing would be learned about them.
    """
    width = theta.shape[1] - 1
    if width > EXACT:  # then the metric is that of few directions, and I for the rest
        return
    for weight in np.unique(problems.weight_of[problems.l2 == 0]):
        rows = problems.weights[weight] > 0
        if rows.sum() <= width:
            fits = np.flatnonzero((problems.l2 == 0) & (problems.weight_of == weight))
            theta[fits] = design.smallest(theta[fits], rows)


class _Batch:
    """The state of the fits that still move; all matrices have a row a fit."""

    def __init__(
        self, design: Design, problems: Problems, theta: NDArray[Any], dtype: np.dtype[Any], spectrum: Spectrum
    ) -> None:
        self.design, self.dtype, self.spectrum = design, dtype, spectrum
        self.exact = dtype != design.matrix.dtype
        self.labels = design.put(problems.labels.astype(dtype))[problems.label_of]  # (k, n)
        self.weights = design.put(problems.weights.astype(dtype))[problems.weight_of]
        self.l2 = design.penalty(problems.l2)
        hard = ((problems.labels == 0) | (problems.labels == 1)).astype(np.float64) @ (problems.weights.T > 0)
        one = (problems.labels > 0.5) @ problems.weights.T
        label, weight = problems.label_of, problems.weight_of
        all_hard = hard[label, weight] == (problems.weights > 0).sum(axis=1)[weight]
        # Without penalty, or with labels of one class, hard labels may be met ever better without end.
        self.boundless = all_hard & ((problems.l2 == 0) | (one[label, weight] == 0) | (one[label, weight] > 1 - 1e-12))
        self.theta = design.put(theta.astype(dtype))
        self.logits = design.forward(self.theta, self.exact)
        self.loss, self.residual, self.curvature = self._losses(self.logits, slice(None))
        self.gradient = design.backward(self.residual, self.exact) + self._ridge(self.theta)
        self.pairs: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = []  # step, change of gradient, 1 / product

    def run(self, goal: float) -> Solutions:
        """Go on until every fit's excess is below the goal, or has stopped falling."""
        k = len(self.l2)
        out = Solutions.begun(host(self.theta))
        active, since = np.arange(k), np.zeros(k, np.intp)
        best, lowest = np.full(k, np.inf), np.full(k, np.inf)
        least = 100 * float(np.finfo(self.dtype).eps)  # decrease of the objective that is not rounding
        for iteration in range(MOST_STEPS + 1):
            direction = self._direction()
            excess = self.excess(-direction)
            progress = (excess < best / 2) | (self.objective() < lowest * (1 - least))
            since = np.where(progress, 0, since + 1)
            best, lowest = np.where(progress, excess, best), np.where(progress, self.objective(), lowest)
            separated = self._separated()
            done = (excess <= goal) | separated | (since > PATIENCE[self.dtype]) | (iteration == MOST_STEPS)
            ended = active[done]
            out.theta[ended], out.n_iter[ended] = host(self.theta[done]), iteration
            out.excess[ended] = np.where(separated, np.nan, excess)[done]
            out.status[ended] = np.where(separated, SEPARABLE, STOPPED)[done]
            if done.all():
                break
            if done.any():
                active, since, direction = active[~done], since[~done], direction[~done]
                best, lowest = best[~done], lowest[~done]
                self._keep(~done)
            self._advance(direction)
        return out

    def excess(self, newton: NDArray[Any]) -> NDArray[np.float64]:
        """Estimate (k,) of (objective - minimum) / objective from H⁻¹·gradient: half the squared Newton decrement.

        The inverse Hessian takes p(1-p) for its mean; where most rows are saturated some directions curve far less,
        and the decrement is taken for that much more. Where it is smaller, the bound
        ‖gradient‖² / 4 l2, which is the duality gap at these residuals.
        """
        flatness = 4 * np.maximum(self.curvature, FLATTEST)
        estimate = np.maximum(dots(self.gradient, newton), 0) / (2 * flatness**2)
        slopes = doubled(self.gradient)
        bias = host(slopes[:, -1]) ** 2 / (2 * np.maximum(self.curvature, FLATTEST))
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = np.where(self.l2 > 0, dots(slopes[:, :-1], slopes[:, :-1]) / (4 * self.l2), np.inf) + bias
        return np.asarray(np.minimum(estimate, gap) / np.maximum(self.objective(), np.finfo(np.float64).tiny))

    def objective(self) -> NDArray[np.float64]:
        return self.loss + self.l2 * dots(self.theta[:, :-1], self.theta[:, :-1])

    def preconditioned(self, g: Any = None) -> Any:
        """(c·covariance + 2 l2)⁻¹ g, and g / c for the bias; of the gradient unless given."""
        g = self.gradient if g is None else g
        curvature = np.maximum(self.curvature, FLATTEST)
        bias = g[:, -1:] / column(curvature, g)
        return self.design.xp.hstack([self.design.solve(self.spectrum, g[:, :-1], self.l2, curvature), bias])

    def _direction(self) -> Any:
        """-H⁻¹·gradient by the two loops of L-BFGS (Nocedal and Wright 2006, algorithm 7.4)."""
        q, shares = self.gradient, []
        for step, change, inverse in reversed(self.pairs):
            share = inverse * products(step, q)
            q = q - share[:, None] * change
            shares.append(share)
        q = self.preconditioned(q)
        for (step, change, inverse), share in zip(self.pairs, reversed(shares), strict=True):
            q += (share - inverse * products(change, q))[:, None] * step
        return -q

    def _advance(self, direction: NDArray[Any]) -> None:
        """One step of every fit along its direction, and what is remembered of it."""
        along = self.design.forward(direction, self.exact)
        step = column(self._search(direction, along), direction) * direction
        self.theta += step
        gradient = self.design.backward(self.residual, self.exact) + self._ridge(self.theta)
        change = gradient - self.gradient
        product = products(step, change)
        # Positive by the curvature condition, but for rounding: such a pair is remembered as nothing.
        where = self.design.xp.where
        positive = product > float(np.finfo(self.dtype).tiny * 1e3)
        inverse = where(positive, 1 / where(positive, product, 1), 0)
        self.pairs = [*self.pairs[-MEMORY + 1 :], (step, change, inverse)]
        self.gradient = gradient

    def _search(self, direction: NDArray[Any], along: NDArray[Any]) -> NDArray[np.float64]:
        """Step sizes (k,); loss, residual and log-odds are left at the point they lead to."""
        start, before = self.logits, self.loss
        linear, quadratic = dots(self._ridge(self.theta), direction), dots(self._ridge(direction), direction)
        slope = dots(self.residual, along) + linear
        size, low, high = np.ones(len(slope)), np.zeros(len(slope)), np.full(len(slope), np.inf)
        slope_low, slope_high = slope.copy(), np.zeros(len(slope))
        self.logits = start + along
        self.loss, self.residual, self.curvature = self._losses(self.logits, slice(None))
        left = np.arange(len(slope))
        for _ in range(MOST_TRIALS):
            t = size[left]
            now = dots(self.residual[left], along[left]) + linear[left] + t * quadratic[left]
            rise = self.loss[left] - before[left] + t * linear[left] + t**2 * quadratic[left] / 2
            fine = (np.abs(now) <= SLOPE_LEFT * np.abs(slope[left])) & ((now <= 0) | (rise <= 1e-6 * before[left]))
            left, t, now = left[~fine], t[~fine], now[~fine]
            if not len(left):
                break
            short = now < 0
            low[left[short]], slope_low[left[short]] = t[short], now[short]
            high[left[~short]], slope_high[left[~short]] = t[~short], now[~short]
            share = slope_low[left] / (slope_low[left] - slope_high[left] - np.finfo(np.float64).tiny)
            with np.errstate(invalid="ignore"):
                inside = low[left] + (high[left] - low[left]) * np.clip(share, 0.1, 0.9)
            size[left] = np.where(np.isinf(high[left]), 3 * t, inside)
            self.logits[left] = start[left] + column(size[left], along) * along[left]
            self.loss[left], self.residual[left], self.curvature[left] = self._losses(self.logits[left], left)
        return size

    def _losses(self, logits: NDArray[Any], some: Any) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[np.float64]]:
        """Loss (k,), its derivatives by the log-odds (k, n), and mean p(1-p) (k,), of some of the fits."""
        labels, weights, xp = self.labels[some], self.weights[some], self.design.xp
        each = xp.log1p(xp.exp(-xp.abs(logits)))
        each += xp.clip(logits, 0, None)
        each -= labels * logits
        half = xp.tanh(logits / 2)  # p = (1 + half) / 2, and p(1-p) = (1 - half²) / 4
        residual = half / 2 + (0.5 - labels)
        residual *= weights
        loss, curvature = dots(each, weights), (1 - dots(half * weights, half)) / 4
        return loss, residual, curvature

    def _separated(self) -> NDArray[np.bool_]:
        """Fits (k,) without a minimum that have each row on its label's side."""
        out = self.boundless & (self.loss < SEPARATED)
        for fit in np.flatnonzero(out):
            counted = self.weights[fit] > 0
            out[fit] = bool(((self.logits[fit] > 0) == (self.labels[fit] > 0.5))[counted].all())
        return np.asarray(out)

    def _ridge(self, theta: Any) -> Any:
        """The penalty's gradient (k, r + 1): the bias is free."""
        out = column(2 * self.l2, theta) * theta
        out[:, -1] = 0
        return out

    def _keep(self, some: NDArray[np.bool_]) -> None:
        for name in (
            "labels", "weights", "l2", "boundless", "theta", "logits", "loss", "residual", "curvature", "gradient",
        ):  # fmt: skip
            setattr(self, name, getattr(self, name)[some])
        self.pairs = [(step[some], change[some], inverse[some]) for step, change, inverse in self.pairs]
