"""`w2s foretell STORE LABELS`: every measure of one label file at one layer."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..io.files import refuse_input
from ..io.tables import refuse_no_table, write_table
from ..progress import Progress
from ..rows.ids import positions
from ..rows.sides import are_sides, refuse_both_sides
from ..store.activation_store import ActivationStore
from ..store.paired_store import PairedStore
from . import progress, terminal
from .labelled_layer import LabelledLayer, probe_of
from .options import Kind
from .probe_choice import ProbeChoice

if TYPE_CHECKING:
    import pandas as pd

    from ..foretelling import Forecast
    from ..metrics.intervals import Estimate

ORACLE = "ORACLE: these read truth that a weak-to-strong experiment does not have, and may choose nothing"


@dataclass(frozen=True)
class ForetoldFiles:
    """What is read and written; InputError for files that cannot serve."""

    store: Path
    labels: Path
    layer: str
    out: Path
    weak_store: Path | None
    weak_layer: str | None
    trusted: Path | None

    def __post_init__(self) -> None:
        refuse_input(self.out, self.labels, self.trusted)
        if self.trusted is not None:
            refuse_no_table(self.trusted)
        if self.weak_layer is not None and self.weak_store is None:
            raise InputError("--weak-layer is of --weak-store: give that, or leave it out")

    def foretell(self, choice: ProbeChoice, draws: int, seed: int, show: Kind) -> None:
        """Measure, write the table, and say what is in it."""
        with progress.steps(show) as step:
            rows, found = self._measured(choice, draws, seed, step)
        # Only what has passed so far is worth the seconds that these take.
        from ..foretelling import track_record
        from .answers_on_forecasts import ForetellAnswer

        remarks = [*rows.read_as, *_reasons(found), *rows.relabelled(self.labels)]
        if dropped := int(rows.dropped[rows.training].sum()):
            remarks.append(
                f"{dropped} of these rows an earlier filter dropped: they are measured, but teach no student"
            )
        if found.weighed:
            remarks.append("the rows with a truth were drawn with known probabilities, by which CAPA weighs them")
        remarks.append(f"foretold here: Spearman's correlation with a student's gain in AUROC, over {track_record()}")
        terminal.show(_shown(found), by="of", asked=True)
        for line in [*remarks, *([ORACLE] if found.oracle else []), f"Written: {self.out}"]:
            terminal.say(line)
        terminal.answer_json(ForetellAnswer.of_labels(found, self.out, remarks))

    def _measured(self, choice: ProbeChoice, draws: int, seed: int, step: Progress) -> tuple[LabelledLayer, "Forecast"]:
        below = None if self.weak_store is None else ActivationStore.open(self.weak_store)
        at = None if below is None else below.resolve(self.weak_layer or "-1")
        step(f"layer {self.layer} of {self.store}", 0, 4)
        # By id: which rows the kernels read does not hang on the order of the file.
        rows = LabelledLayer.read(self.store, self.labels, self.layer, by_id=True, paired=choice.reads_pairs)
        if not rows.store.paired:
            pairs = ", or --by a probe that reads pairs, such as contrast"
            refuse_both_sides(rows.ids, rows.where, "a forecast", pairs)
        if below is not None:
            if rows.store.paired and are_sides(below.ids):
                below = PairedStore(below)
            positions(below.ids, rows.ids, f"--weak-store {self.weak_store}", of=str(self.labels))
        # Only what has passed so far is worth the seconds that these take.
        from ..foretelling import foretell
        from ..noise.audits import with_audit

        truth = rows.truth
        if self.trusted is not None:
            truth = with_audit(rows.ids, None, self.trusted, rows.table["id"].to_numpy(dtype=object), rows.where)
        done = iter(range(1, 4))
        found = foretell(
            rows.X,
            rows.y,
            probe=probe_of(choice.by, choice.k, choice.l2, "strong", "exact"),
            weak_X=None if below is None or at is None else below.layer(at, ids=rows.ids),
            truth=truth,
            trusted=self.trusted is not None,
            design=rows.audit_design(self.trusted, truth),
            groups=rows.groups,
            draws=draws,
            seed=seed,
            step=lambda what: step(what, next(done), 4),
        )
        notes = {"labels": self.labels, "store": self.store, "layer": rows.layer, "probe": choice.by}
        found = replace(found, notes=notes | {"weak_store": self.weak_store})
        write_table(found.to_frame(), self.out)
        step(f"{self.out} written", 4, 4)
        return rows, found


def _reasons(found: "Forecast") -> list[str]:
    """Why measures have no number, or no interval, where what they read was given."""
    statuses = ((one.measure, one.status) for one in found.measures if one.is_given)
    return [f"{measure}: {status}" for measure, status in statuses if status != "ok"]


def _number(estimate: "Estimate") -> str:
    return f"{estimate.value:.3f}" if math.isnan(estimate.low) else f"{estimate:.3f}"


def _shown(found: "Forecast") -> "pd.DataFrame":
    """The table as printed: a line a measure."""
    import pandas as pd

    from ..foretelling import track_record

    lines = []
    for one in found.measures:
        past = track_record().correlation(one.measure)
        lines.append(
            {
                "of": f"{found.rows} rows, layer {found.notes['layer']}",
                "measure": one.measure,
                "value [95 %]": _number(one.estimate) if one.is_known else "undefined" if one.is_given else "not given",
                "by chance": f"{one.chance:.3f}" if one.draws else "",
                "needs": found.needs(one),
                "foretold here": "" if past is None else str(past),
            }
        )
    return pd.DataFrame(lines)
