"""What is made of answers: log-odds moved by the model's own bias, and probabilities that do not contradict each other.

Sources: Zhao et al. 2021, "Calibrate Before Use" (content-free prompts); Zhou et al. 2024, "Batch Calibration" (the
mean over the rows that are asked about). Neither reads a label.
"""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logsumexp

from w2s_probes.errors import InputError

Calibration = Literal["prior", "content-free"]
CONTENT_FREE = ("N/A", "[MASK]", "")  # texts that say nothing, as in the paper
QUESTION, PAIR = "question", "pair"  # fields of rows whose answers hang together


def bias(log_odds: NDArray[np.float64]) -> float:
    """The log-odds of the mean P(1) over answers (n,): of those to texts that say nothing, or of all that are asked.

    >>> round(bias(np.array([np.log(3.0), np.log(3.0)])), 6), round(bias(np.array([2.0, -2.0])), 6)
    (1.098612, 0.0)
    """
    # In logs: P of a word that the model would never say is 0 in float64.
    return float(logsumexp(-np.logaddexp(0, -log_odds)) - logsumexp(-np.logaddexp(0, log_odds)))


def consistent(log_odds: NDArray[np.float64], rows: pd.DataFrame) -> tuple[NDArray[np.float64], int]:
    """P(1) (n,) by answers' log-odds, and the number of questions and pairs whose rows were judged together.

    Of the rows of one `question` one is true at most, of the two rows of one `pair` (A > B and B > A) exactly one:
    these are the probabilities of independent answers, given that. A row without either stands alone. InputError for
    rows that have both, and for a pair of more than two.

    >>> rows = pd.DataFrame({"pair": ["a", "a"]})
    >>> consistent(np.array([1.0, 0.5]), rows)[0].round(6).tolist()
    [0.622459, 0.377541]
    >>> consistent(np.array([1.0, 0.5]), rows.rename(columns={"pair": "question"}))[0].round(6).tolist()
    [0.50648, 0.307196]
    """
    p, together = np.asarray(expit(log_odds)), 0
    given = [field for field in (QUESTION, PAIR) if field in rows]
    if len(given) == 2 and (both := rows[QUESTION].notna() & rows[PAIR].notna()).any():
        raise InputError(f"row {rows['id'][both].iloc[0]!r} has a question and a pair: leave one of them out")
    for field in given:
        for name, places in rows.groupby(field, sort=False).indices.items():
            if field == PAIR and len(places) > 2:
                raise InputError(f"pair {name!r} has {len(places)} rows: it is two, the same texts in either order")
            if len(places) > 1:
                own = log_odds[places]
                none = [] if field == PAIR else [0.0]  # that none is true
                p[places] = np.exp(own - logsumexp(np.concatenate([own, none])))
                together += 1
    return p, together
