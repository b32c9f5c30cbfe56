"""The penalties of logistic probes: the published grid, and the largest that is told from infinity."""

import numpy as np

PENALTIES = (0.0, *np.logspace(-4, 4, 10).tolist())  # the published grid
LARGEST_L2 = 1e8  # beyond it every weight is 0 to rounding
