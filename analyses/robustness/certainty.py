"""How many standard errors a difference of payoffs must exceed, by the number of seeds that it is a mean of."""

from w2s_probes.metrics.intervals import quantile
from w2s_probes.selection.undominated_sets import SURE


def errors_needed(seeds: int) -> float:
    """The 95 % quantile of Student's t with one degree of freedom less than seeds; 2 for one seed, which counts rows.

    >>> [round(errors_needed(seeds), 2) for seeds in (1, 2, 3, 10)]
    [2.0, 12.71, 4.3, 2.26]
    """
    return SURE if seeds == 1 else quantile(seeds - 1)


def errors_in_words(seeds: int) -> str:
    """What a margin must exceed, in words.

    >>> errors_in_words(3)
    "4.30 paired standard errors (Student's t, 3 seeds)"
    """
    if seeds == 1:
        return "two paired standard errors of the judging rows, seeds not counted"
    return f"{errors_needed(seeds):.2f} paired standard errors (Student's t, {seeds} seeds)"
