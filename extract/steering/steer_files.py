"""The files of a steering: their names, the columns of the table, and the words in them. Light: the report reads it."""

from pathlib import Path
from typing import Literal

from w2s_probes.errors import InputError
from w2s_probes.io.files import refuse_no_file
from w2s_probes.io.json_files import read_json

By = Literal["add", "ablate"]
Control = Literal["isotropic", "covariance", "permuted"]
CONTROLS: dict[Control, str] = {  # what each is drawn from, in the order of tables
    "isotropic": "uniform over all directions",
    "covariance": "with the covariance of the layer's activations",
    "permuted": "probes of permuted labels",
}
BASE, PROBE = "base", "probe"  # the model left alone, and the direction that is asked about
WORDS_READ, LAYER_READ = "words", "layer"
STEER_COLUMNS = ("kind", "direction", "strength", "metric", "value", "low", "high", "n", "oracle")
STEER_METRICS = {
    "log_odds": "log-odds of label 1, mean over rows",
    "p": "P(1), mean over rows",
    "moved": "movement of the log-odds, mean over rows",
    "moved_p": "movement of P(1), mean over rows",
    "moved_size": "size of the movement of the log-odds, mean over rows",
    "said": "probability of the two words together, mean over rows",
    "auroc_weak": "AUROC of the weak labels",
    "auroc_truth": "AUROC of the truth",
}
STEER_RECORD = {"steered", "by", "read", "results"}  # fields that no other record has together


def steer_table_path(out: Path) -> Path:
    """The table beside a record."""
    return out.with_suffix(".csv")


def steer_figure_path(out: Path) -> Path:
    """The figure beside a record."""
    return out.with_suffix(".png")


def refuse_steer_out(out: Path) -> None:
    """InputError for a name that is no .json, or where the three files would take the place of something else."""
    if out.suffix != ".json":
        raise InputError(f"{out}: the record is a .json file; its table (.csv) and figure (.png) are written beside it")
    for path in (out, steer_table_path(out), steer_figure_path(out)):
        refuse_no_file(path)
    if out.is_file():
        try:
            known = read_json(out)
        except InputError:
            known = None
        if not isinstance(known, dict) or not known.keys() >= STEER_RECORD:
            raise InputError(f"{out}: is no record of a steering, and one would be written there: give another --out")
    elif steer_table_path(out).exists():
        raise InputError(f"{steer_table_path(out)}: would be written over, and is of no steering: give another --out")
