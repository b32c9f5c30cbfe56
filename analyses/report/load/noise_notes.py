"""What a run's record says of the noise of weak labels and of kinds of rows, as far as the page reads it."""

from .gold_notes import GoldNotes


class NoiseNotes(GoldNotes):
    """The rates of a noise channel with their ends, and the counts and gains of an overlap density."""

    rate_01: float = 0
    rate_01_low: float = 0
    rate_01_high: float = 0
    rate_10: float = 0
    rate_10_low: float = 0
    rate_10_high: float = 0
    at_border: float = 0
    hard_rows: float = 0
    overlap_rows: float = 0
    easy_rows: float = 0
    confidence_gain: float = 0
    similarity_gain: float = 0
    no_change_point: float = 0
