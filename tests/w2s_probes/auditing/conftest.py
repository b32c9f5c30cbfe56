"""An audit that was drawn, and folding of what became of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.worlds.audited import DRAWN, GIVEN, P
from w2s_probes.auditing import AuditRows, draw_audit, fold_audit
from w2s_probes.io.tables import write_table


@pytest.fixture
def drawn() -> AuditRows:
    return draw_audit(GIVEN, n=DRAWN, by="stratified", p=P)


@pytest.fixture
def fold(tmp_path: Path) -> Callable[..., Any]:
    """Fold a table as a CSV file would be folded."""

    def call(table: pd.DataFrame, name: str = "done.csv", **options: Any) -> Any:
        write_table(table, tmp_path / name)
        return fold_audit(tmp_path / name, GIVEN, **options)

    return call
