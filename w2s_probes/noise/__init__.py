"""The noise of weak labels: estimated from a probe's out-of-sample scores, or corrected by a small audit."""

from ..metrics.intervals import Estimate
from .channel import ChannelEstimate, channel_model
from .estimate import NoiseEstimate
from .model import noise_model

__all__ = ["ChannelEstimate", "Estimate", "NoiseEstimate", "channel_model", "noise_model"]
