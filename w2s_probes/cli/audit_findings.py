"""What an answered audit says, in sentences."""

from typing import TYPE_CHECKING

import numpy as np

from ..metrics.intervals import Estimate

if TYPE_CHECKING:
    from ..auditing import FoldedAudit


def of_fold(found: "FoldedAudit", drawn: int) -> list[str]:
    """The lines of `w2s audit fold`: shares of wrong labels in several ways, by class, and what to make of them."""
    model = found.model
    part = "" if found.audited == drawn else f" of {drawn} drawn, the first in a random order"
    lines = [f"{found.audited} rows audited{part}, drawn {found.by} from {found.n} (an oracle's figures):"]
    with_probe = f"with the probe's scores, AUROC {_two(model.auroc)} against the weak labels"
    how = with_probe if found.prediction_powered else "by weak class, without a probe"
    lines.append(f"wrong labels: {_share(model.noise)} {how}")
    lines.append(
        f"  by weights alone: {_share(found.hajek)} (Hájek), {_share(found.horvitz_thompson)} (Horvitz-Thompson)"
    )
    of_all = "" if found.by == "uniform" else ", which is no estimate of all rows: rows were not as likely"
    lines.append(f"  among the audited rows themselves: {found.naive:.1%}{of_all}")
    for c in (0, 1):
        weak, true = model.true_given_weak[c][1 - c], model.weak_given_true[c][1 - c]
        lines.append(
            f"  label {c}: {_share(weak)} of the rows labelled {c} are wrong, {_share(true)} of those truly {c}"
        )
    if model.status == "ok":
        lines.append(
            f"suggested contamination: {_two(found.contamination)}; it says how many labels are wrong, not that "
            "dropping as many helps"
        )
    else:
        lines.append("no contamination is suggested: fewer than 10 audited rows of a weak class")
    return lines


def _share(estimate: Estimate) -> str:
    return "an unknown share" if np.isnan(estimate.value) else f"{estimate:.1%}"


def _two(estimate: Estimate) -> str:
    return f"{estimate:.2f}"
