"""What the status of a noise estimate means, in a clause that a sentence can take."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .model import NoiseStatus

MEANING: "dict[NoiseStatus, str]" = {
    "ok": "audited rows say so",
    "few rows": "fewer than 20 rows of a class can be relied on",
    "uninformative": "the probe hardly separates the labels, so wrong labels and rows that look alike cannot be told "
    "apart",
    "hard rows": "the probe disagrees mostly where it is unsure, so wrong labels and hard rows cannot be told apart",
    "assumption not checked": "the probe may share the supervisor's mistakes, which no score can show",
}
