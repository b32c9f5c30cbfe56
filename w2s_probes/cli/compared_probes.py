"""`w2s foretell STORE --probe A --probe B`: whether saved probes rank the rows of a store alike."""

from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from ..io.files import refuse_input
from ..io.tables import write_table
from ..labels.label_set import read_label_table
from ..probes.fitted_to import check_fitted_to, reads_in
from ..rows.groups import groups_of
from ..rows.ids import positions
from ..store.activation_store import ActivationStore
from ..store.paired_store import as_a_probe_reads
from . import terminal


def compare_probes(store: Path, rows: Path | None, layer: str, probes: Sequence[Path], out: Path | None) -> None:
    """Print the Mahalanobis cosine of every pair of saved probes on a store's rows, and write them where `out` says.

    `rows` is a table with the `id` of the rows, and where present their `group`. InputError for fewer than two probes,
    one that is named twice, files that are none, probes of another layer or model, and rows that the store lacks.
    """
    if len(probes) < 2:
        raise InputError(f"--probe {probes[0]}: give --probe twice or more, two probes to compare")
    if doubled := [path for at, path in enumerate(probes) if path in probes[:at]]:
        raise InputError(f"--probe {doubled[0]} is given twice: a probe's cosine with itself is 1")
    for path in probes:
        reads_in(path)  # refused before what takes seconds
    if out is not None:
        refuse_input(out, *probes, rows)
    opened = ActivationStore.open(store)
    at = opened.resolve(layer)
    unrecorded = [remark for path in probes if (remark := check_fitted_to(path, opened, at))]
    from ..probes.saving import load_probe

    loaded = {str(path): load_probe(path) for path in probes}
    opened = as_a_probe_reads(opened, next(iter(loaded.values())))
    ids, groups = opened.ids, None
    if rows is not None:
        table = read_label_table(rows)
        if "id" not in table:
            raise InputError(f"{rows}: has no `id`: the target's rows are found by it")
        ids, groups = table["id"].astype(str).to_numpy(dtype=object), groups_of(table)
    if rows is not None:
        positions(opened.ids, ids, str(store), of=str(rows))
    from ..foretelling.compared import compared_probes
    from .answers_on_forecasts import ForetellAnswer

    X = opened.layer(at, ids=ids)
    found = compared_probes(loaded, X, groups=groups)
    if out is not None:
        write_table(found.to_frame(), out)
    for pair in found.pairs:
        chance = f"; one in twenty random directions reaches {pair.by_chance:.3f}" if pair.cosine.is_known else ""
        terminal.answer(f"{pair.first}, {pair.second}: {pair.cosine}{chance}")
    what = "contrast pairs" if opened.paired else "rows"
    alike = "1, they rank these rows alike; 0, not at all; -1, in reverse"
    remarks = [*unrecorded, f"on {len(X)} {what} of {store}, layer {at}: {alike}"]
    if out is not None:
        remarks.append(f"Written: {out}")
    for line in remarks:
        terminal.say(line)
    terminal.answer_json(ForetellAnswer.of_probes(found, store, at, rows, out, unrecorded))
