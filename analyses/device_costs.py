"""The memory that a recipe's probes and heads take on the device that it names."""

from w2s_probes.devices import PROCESSOR
from w2s_probes.sweep import Grid
from w2s_probes.sweep.device_memory import FLOAT, LIBRARIES, device_memory

from .recipe.schema import Recipe

FOLDS = 5  # of out-of-sample scores


def device_bytes(recipe: Recipe, width: int) -> int:
    """Bytes at most on the recipe's device, of activations of this width; 0 where it is the processor.

    Logistic and MLP probes hold the training rows as a sweep's layer does; all heads of a trial learn together, from
    the rows once, with five numbers a weight and eight a row of each.
    """
    if recipe.device == PROCESSOR:
        return 0
    rows, probes = recipe.data.n_train, recipe.probes
    grid = Grid({"logistic": (probes.logistic_l2,), "mlp": (probes.mlp_l2,)}, folds=FOLDS, device=recipe.device)
    heads = FLOAT * rows * width + 16 * (len(recipe.methods) + 2) * (2 * width + 2 * rows) + LIBRARIES
    return max(device_memory(grid, rows, width), heads)
