"""What tests of runs share."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from analyses.experiment import view
from analyses.lessons import teaching
from extract.extractor import Extraction
from extract.forward.trace import ActivationReader
from tests.worlds import remembered


@pytest.fixture(scope="package", autouse=True)
def _passes_made_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ActivationReader, "read", remembered.read)
        yield


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often heads were trained, neighbours searched, and rows extracted."""
    counts: Counter[str] = Counter()

    def count(owner: Any, name: str, kind: str) -> None:
        real = getattr(owner, name)

        def counting(*arguments: Any, **options: Any) -> Any:
            counts[kind] += 1
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, counting)

    real = teaching.teach_heads

    def counting_heads(lessons: Any) -> Any:
        counts["heads"] += len(lessons)
        return real(lessons)

    monkeypatch.setattr(teaching, "teach_heads", counting_heads)
    count(view, "search", "searches")
    count(Extraction, "run", "extractions")
    return counts
