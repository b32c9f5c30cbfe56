"""Students on disk: put whole into their place, also by several at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tests.conftest import planted
from w2s_probes import LogisticProbe
from w2s_probes.students.artefacts import SavedStudent, save_student


def test_one_place_may_be_written_by_many_at_once(tmp_path: Path) -> None:
    data = planted(n=60)
    head = LogisticProbe(0.1).fit(data.X, data.weak)
    expected = head.predict_proba(data.X)

    def save(number: int) -> None:
        save_student(tmp_path / "student", {"number": number}, head=head)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(save, range(200)))
    from w2s_probes.probes.saving import load_probe

    found = load_probe(SavedStudent.find(tmp_path / "student").path)
    np.testing.assert_allclose(found.predict_proba(data.X), expected, atol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == ["student"]
