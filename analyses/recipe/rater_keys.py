"""The keys of a supervisor that is several raters, or a boosted one, and which truth it reads."""

from typing import Any

from pydantic import Field

from w2s_probes.calibration import CalibrationRule
from w2s_probes.raters.rules import CombiningRule

from .section import Count, Section

TRAINED = ("text", "head", "finetune", "lm", "boosted")  # kinds that learn the truth of weak-train


class RaterKeys(Section):
    """What `[weak]` says of members that are combined, and of boosting."""

    kind: str = "text"  # the first of its keys; `Weak` says which there are
    by: CombiningRule = "mean"  # of an ensemble: how its members are combined
    # by = "weights": learned from the fifth of weak-train that the members do not learn, or by their agreement alone
    trusted: bool = True
    rounds: Count = Field(50)  # of boosting: stumps
    # Scores become probabilities by the truth of the fifth of weak-train that is held out; of kinds that are trained
    calibrate: CalibrationRule | None = None


def refuse_members(weak: Any) -> None:
    """ValueError for members that an ensemble or a simulation cannot have, and for keys of another rule."""
    kinds = {member.kind for member in weak.members}
    allowed = (*TRAINED, "labels") if weak.kind == "ensemble" else TRAINED
    if kinds - set(allowed):
        raise ValueError(f"members are of kind {', '.join(map(repr, allowed[:-1]))} or {allowed[-1]!r}")
    if weak.kind != "ensemble":
        return
    if len(weak.members) < 2:
        raise ValueError("an ensemble needs at least two members")
    if "trusted" in weak.model_fields_set and weak.by != "weights":
        raise ValueError(f"trusted is of by = 'weights': by = {weak.by!r} takes none")
    if weak.by == "weights" and not weak.trusted and len(weak.members) < 3:
        raise ValueError("weights by agreement need three members: two agree equally well whichever of them is right")


def reads_truth(weak: Any) -> bool:
    """Whether a supervisor, of any kind, reads the truth of weak-train; False for label files alone."""
    if weak.kind != "ensemble":
        return bool(weak.kind != "labels")
    return learns_weights(weak) or any(member.kind != "labels" for member in weak.members)


def learns_weights(weak: Any) -> bool:
    """Whether an ensemble's weights are learned from trusted rows of weak-train."""
    return bool(weak.kind == "ensemble" and weak.by == "weights" and weak.trusted)
