"""The choice of students by their payoffs: undominated set, greedy path, and the choices beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_probes.selection import Discovery, Undominated, discover, pareto, undominated

from .attacks import Attack
from .certainty import errors_needed
from .measured_payoffs import PayoffMean, TaskPayoffs, payoff_means
from .robust_files import HELD_OUT_ROWS, TEST_ROWS

LEAST_WEIGHT = 0.005  # of a family in a mixture that is worth a word
UNDOMINATED_SET, GREEDY_SET = "undominated set, best for each attack", "greedy set, best for each attack"
PERMUTED = "judging labels permuted"


@dataclass(frozen=True)
class Choice:
    """What a payoff table says of its students."""

    payoffs: PayoffMean
    found: Undominated
    path: Discovery
    pareto: NDArray[np.bool_]  # (K,)

    @classmethod
    def of(cls, payoffs: PayoffMean, delta: float | None) -> "Choice":
        names = [attack.name for attack in payoffs.attacks]
        options: dict[str, Any] = {"draws": payoffs.draws, "students": payoffs.students, "families": names}
        options["sure"] = errors_needed(payoffs.seeds)
        found = undominated(payoffs.value, delta, **options)
        return cls(payoffs, found, discover(payoffs.value, delta, **options), pareto(payoffs.value))

    @property
    def best_mean(self) -> int:
        """The student of the best mean over attacks."""
        return int(self.payoffs.value.mean(axis=1).argmax())

    @property
    def minimax(self) -> int:
        """The student whose worst attack is least bad."""
        return int(self.payoffs.value.min(axis=1).argmax())

    def student_lines(self, oracles: frozenset[str]) -> list[dict[str, Any]]:
        """Lines of undominated.csv."""
        one, found = self.payoffs, self.found
        lines = []
        for k, student in enumerate(one.students):
            worst = int(one.value[k].argmin())
            line = {"task": one.task, "student": student, "mean": one.value[k].mean(), "worst": one.value[k, worst]}
            line |= {"worst_at": one.attacks[worst].name, "margin": found.margins[k], "error": found.errors[k]}
            line |= {"low": found.low[k], "high": found.high[k], "delta": found.delta[k]}
            line |= {"undominated": bool(found.mask[k]), "pareto": bool(self.pareto[k])}
            line |= {"best_at": mixture_words(found.attacks[k], one.attacks)}
            line |= {"found": self.path.order.index(k) + 1 if k in self.path.order else None}
            lines.append(line | {"seeds": one.seeds, "trusted": one.trusted, "oracle": student in oracles})
        return lines

    def greedy_lines(self, oracles: frozenset[str]) -> list[dict[str, Any]]:
        """Lines of greedy.csv: the students found in order, and the one that came nearest to being next."""
        one, path = self.payoffs, self.path
        lines = []
        for step, k in enumerate(path.order):
            line = {"task": one.task, "step": step + 1, "student": one.students[k], "gain": path.gains[step]}
            line |= {"error": path.errors[step], "at": mixture_words(path.attacks[step], one.attacks), "taken": True}
            lines.append(line | {"oracle": one.students[k] in oracles})
        if path.refused is not None:
            name = one.students[path.refused]
            line = {"task": one.task, "step": len(lines) + 1, "student": name, "gain": path.refused_gain}
            lines.append(line | {"error": path.refused_error, "at": "", "taken": False, "oracle": name in oracles})
        return lines

    def control_lines(self, by_task: Sequence[TaskPayoffs], oracles: frozenset[str]) -> list[dict[str, Any]]:
        """Lines of controls.csv: what each way to choose gets, by the rows that judged, and on test rows if asked for.

        A set is given by its best student for each attack, which a user who does not know the attack cannot have:
        it is an oracle's figure, as is that of all students.
        """
        lines = []
        for rows in dict.fromkeys(one.judged for one in by_task):
            means = {one.task: one for one in payoff_means([one for one in by_task if one.judged == rows])}
            value, students = means[self.payoffs.task].value, self.payoffs.students
            ways: list[tuple[str, str, NDArray[np.float64], bool]] = [
                ("best mean", students[self.best_mean], value[self.best_mean], False),
                ("minimax", students[self.minimax], value[self.minimax], False),
                ("uniform", "", value.mean(axis=0), False),
                (GREEDY_SET, _named(students, self.path.order), value[self.path.order].max(axis=0), True),
            ]
            if self.found.kept:
                kept = self.found.kept
                ways.append((UNDOMINATED_SET, _named(students, kept), value[kept].max(axis=0), True))
            best = int(value.mean(axis=1).argmax())
            if rows == TEST_ROWS:
                ways.append(("best mean of these rows", students[best], value[best], True))
            ways.append(("every student, best for each attack", "", value.max(axis=0), True))
            for control, name, payoff, oracle in ways:
                line = {"task": self.payoffs.task, "control": control, "student": name, "judged": rows}
                line |= {"mean": payoff.mean(), "worst": payoff.min()}
                marked = oracle or rows != HELD_OUT_ROWS or bool(oracles.intersection(name.split(", ")))
                lines.append(line | {"oracle": marked})
        return lines


def permuted_line(task: str, kept: Sequence[int], mean: float, worst: float) -> dict[str, Any]:
    """The line of controls.csv where students cannot differ: how many are kept, which should be none."""
    return {
        "task": task,
        "control": PERMUTED,
        "student": f"{np.mean(kept):g} kept on average of {len(kept)} permutations",
        "judged": HELD_OUT_ROWS,
        "mean": mean,
        "worst": worst,
        "oracle": False,
    }


def mixture_words(weights: NDArray[np.float64], attacks: Sequence[Attack]) -> str:
    """A mixture of attacks in words, the heaviest first.

    >>> mixture_words(np.array([0.25, 0.75]), [Attack("random", 0.2), Attack("own", None)])
    '0.75 own + 0.25 random@0.2'
    >>> mixture_words(np.array([1.0, 0.0]), [Attack("random", 0.2), Attack("own", None)])
    'random@0.2'
    """
    heavy = [int(f) for f in np.argsort(-weights, kind="stable") if weights[f] >= LEAST_WEIGHT]
    if len(heavy) == 1:
        return attacks[heavy[0]].name
    return " + ".join(f"{weights[f]:.2g} {attacks[f].name}" for f in heavy)


def _named(students: Sequence[str], chosen: Sequence[int]) -> str:
    return ", ".join(students[k] for k in chosen)
