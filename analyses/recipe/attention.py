"""The recipe's `[probes.attention]`: the settings of the probe that reads every token of a row."""

from typing import Literal

from pydantic import Field

from .section import Count, Section


class Attention(Section):
    """The attention probe's settings, fixed in advance as those of all probes are; see `AttentionProbe`."""

    hidden: Count = 64
    l2: float = Field(1e-3, ge=0)
    gated: bool = False
    epochs: Count = 40
    skip_first: bool = False  # leave first tokens out, which are far off all others in many models
    heads: Count = 1
    pool: Literal["attention", "max"] = "attention"  # the mean is the method control-mean-of-tokens
