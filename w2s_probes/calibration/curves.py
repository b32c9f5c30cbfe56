"""A calibration curve: P(label = 1) in, calibrated P(label = 1) out; kept as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from ..checks import probabilities
from ..errors import InputError
from ..io.files import replacing
from ..io.json_files import read_json

CalibrationRule = Literal["temperature", "platt", "isotonic"]
CALIBRATION_RULES: tuple[CalibrationRule, ...] = get_args(CalibrationRule)
LEAST_ROWS = 10
FAR = float(logit(1 - 1e-12))  # log-odds, 27.6, up to which they are taken as they are; beyond by their logarithm
KIND = "w2s calibration"


@dataclass(frozen=True)
class Calibrator:
    """A curve that never falls. Temperature and Platt: σ(slope · logit(P) + shift); isotonic: linear between points.

    It is calibrated `to` the labels that it learned and to nothing else: with weak labels, to the weak supervisor.
    Where the scores did not rise with the labels it is `flat`: every row gets one P, but for what keeps their ranks.

    >>> curve = Calibrator("temperature", slope=0.5, to="3 weak labels", rows=3)
    >>> curve([0.1, 0.5, 0.9]).round(2).tolist()
    [0.25, 0.5, 0.75]
    """

    by: CalibrationRule
    slope: float = 1.0  # of the logit; 1 / temperature
    shift: float = 0.0
    scores: tuple[float, ...] = ()  # of isotonic: P at which the curve bends, rising
    values: tuple[float, ...] = ()  # and calibrated P there
    to: str = "labels"  # what it was calibrated to, in words: "300 weak labels", "100 true labels (trusted)"
    rows: int = 0  # that it learned from

    @property
    def flat(self) -> bool:
        """Whether scores are mapped to one P, or nearly so: the labels do not rise with them."""
        if self.by == "isotonic":
            return self.values[0] == self.values[-1]
        return self.slope < 1e-4

    def __call__(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Calibrated P (n,) of scores (n,) in [0, 1]; beyond the points of an isotonic curve that of the nearest one.

        Isotonic curves have steps: rows of different scores may come out equal. InputError for what is no probability.
        """
        p = probabilities(scores, "scores")
        if self.by == "isotonic":
            return np.asarray(np.interp(p, self.scores, self.values), dtype=np.float64)
        return np.asarray(expit(self.slope * logits(p) + self.shift), dtype=np.float64)

    @property
    def facts(self) -> dict[str, Any]:
        """All of it, fit for JSON."""
        return {"kind": KIND, **asdict(self)}

    @classmethod
    def of(cls, facts: Mapping[str, Any], where: str) -> Self:
        """The curve of these facts; InputError where they are none."""
        try:
            if facts["kind"] != KIND or facts["by"] not in CALIBRATION_RULES:
                raise ValueError("another kind of file")
            points, values = (tuple(float(x) for x in facts[name]) for name in ("scores", "values"))
            slope, shift = float(facts["slope"]), float(facts["shift"])
            rising = slope >= 0 and all((np.diff(bend) >= 0).all() for bend in (points, values))
            if not (np.isfinite([slope, shift, *points, *values]).all() and rising and len(points) == len(values)):
                raise ValueError("its curve is no rising one of finite numbers")
            if (facts["by"] == "isotonic") != bool(points):
                raise ValueError("points are of isotonic curves, which need some")
            return cls(facts["by"], slope, shift, points, values, str(facts["to"]), int(facts["rows"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{where}: no calibration curve ({error}): make it again by w2s calibrate") from error

    def save(self, path: Path | str) -> None:
        """Write it as JSON."""
        import json

        with replacing(Path(path)) as temporary:
            temporary.write_text(json.dumps(self.facts, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read what `save` wrote; InputError for any other file."""
        return cls.of(read_json(Path(path)), str(path))


def logits(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """The log-odds (n,) of P (n,), the farthest drawn in: of exact 0 and 1 they are -34.2 and 34.2.

    Within 1e-12 of 0 and 1 they grow as their logarithm. So no row outweighs all others, and ranks are kept.
    """
    least = np.nextafter(0, 1)
    z = np.where(p == 1, -logit(least), logit(np.clip(p, least, np.nextafter(1, 0))))
    return np.asarray(np.sign(z) * (np.minimum(np.abs(z), FAR) + np.log1p(np.maximum(np.abs(z) - FAR, 0))))
