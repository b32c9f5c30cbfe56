"""The noise of weak labels: from a probe's out-of-sample scores, as a channel, or corrected by a small audit."""

from typing import TYPE_CHECKING

from ..lazy_face import lazy_face
from ..metrics.intervals import Estimate
from .estimate import NoiseEstimate
from .model import noise_model

if TYPE_CHECKING:
    from .channel import ChannelEstimate, channel_model

__all__ = ["ChannelEstimate", "Estimate", "NoiseEstimate", "channel_model", "noise_model"]

# These fit a probe, and so load scikit-learn.
__getattr__, __dir__ = lazy_face(__name__, {"ChannelEstimate": "channel", "channel_model": "channel"})
