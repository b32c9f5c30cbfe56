"""How many weak labels are wrong: estimated from a probe's out-of-sample scores, or corrected by a small audit."""

from .model import Estimate, NoiseEstimate, noise_model

__all__ = ["Estimate", "NoiseEstimate", "noise_model"]
