"""Several positions of the same rows, read at once: a folder with one store for each name, as if extracted alone."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from w2s_probes.errors import InputError
from w2s_probes.progress import RowProgress, silent
from w2s_probes.share import WHOLE, Share
from w2s_probes.store.activation_store import ActivationStore
from w2s_probes.store.manifest import MANIFEST

from .extractor import Extraction
from .filling import run_together
from .models.loading import Placement
from .models.source import ModelSource
from .planned_rows import rows_at
from .positions import named_positions


def plan_positions(
    model: str | ModelSource,
    rows: pd.DataFrame,
    positions: Mapping[str, str],
    *,
    missing: str = "refuse",
    **options: Any,
) -> dict[str, Extraction]:
    """An extraction for each name, which differ in their positions alone; `options` are those of `Extraction.plan`.

    A row in which one of the positions is nowhere is refused, or with `missing` "skip" left out of all of them.
    """
    named_positions([f"{name}={position}" if name else position for name, position in positions.items()])
    if len(positions) == 1:  # as any other
        ((name, position),) = positions.items()
        return {name: Extraction.plan(model, rows, position=position, missing=missing, **options)}
    base = Extraction.plan(model, rows, **options)
    tables, left_out = rows_at(base.rows, list(positions.values()), base.source, base.encoding, missing)
    return {
        name: replace(base, position=position, rows=table, left_out=tuple(left_out))
        for (name, position), table in zip(positions.items(), tables, strict=True)
    }


def extract_positions(
    plans: Mapping[str, Extraction],
    out: Path | str,
    *,
    placement: Placement | None = None,
    share: Share = WHOLE,
    notes: Mapping[str, Any] | None = None,
    progress: RowProgress = silent,
    check: bool = True,
) -> dict[str, ActivationStore | None]:
    """Write, or go on with, the store of each name in the folder `out`: `out/NAME`, with the key that it has alone.

    Every row is read once for all. None for a store while parts of other processes are missing.
    """
    folder = Path(out)
    if (folder / MANIFEST).exists():
        raise InputError(f"{folder}: is a store of one position: give another --out for several")
    stores = run_together(
        list(plans.values()),
        [folder / name for name in plans],
        placement,
        engine=None,
        share=share,
        cut_for=None,
        notes=notes,
        progress=progress,
        check=check,
    )
    return dict(zip(plans, stores, strict=True))
