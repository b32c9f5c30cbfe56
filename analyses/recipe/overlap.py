"""The recipe's `[probes.overlap]`: how the filters of overlap density tell rows apart."""

from pydantic import Field

from w2s_probes.filtering.judges import LEAST_GAIN, Similarity

from .section import Section


class OverlapSettings(Section):
    """The options of `overlap_density`."""

    similarity: Similarity = "cosine"  # of a row to the hard ones
    least_gain: float = Field(LEAST_GAIN, ge=0, le=1)  # of a change point; 0: any split, as published
