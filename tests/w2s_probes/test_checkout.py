"""`extract` and `analyses` are found beside the package or in it; what is missing or foreign is told in one line."""

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from tests.conftest import ROOT
from w2s_probes import InputError, checkout


def test_in_a_checkout_its_own_folders_are_the_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checkout.HOME == ROOT
    before = list(sys.path)
    assert checkout.on_path() == ROOT
    assert sys.path == before
    with checkout.from_checkout():
        from extract.row_files import read_rows
    assert Path(read_rows.__code__.co_filename) == ROOT / "extract" / "row_files.py"


def test_a_copy_that_lacks_a_folder_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fails: Callable[..., str]
) -> None:
    monkeypatch.setattr(checkout, "HOME", tmp_path)
    assert "this copy of w2s-probes is not whole" in fails("demo", "--out", tmp_path / "out")


def test_a_foreign_package_of_the_name_is_refused_and_named(tmp_path: Path) -> None:
    (tmp_path / "analyses").mkdir()
    (tmp_path / "analyses" / "__init__.py").write_text("raise SystemExit('imported')\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from w2s_probes.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "demo"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr == (
        f"w2s: {tmp_path / 'analyses'}: another package named analyses is in the way of w2s-probes' own: uninstall or "
        "rename it, or start elsewhere\n"
    )


@pytest.mark.parametrize("library", ["torch", "transformers"])
def test_a_missing_library_is_named_with_its_remedy(library: str) -> None:
    code = f"import sys; sys.modules[{library!r}] = None; from w2s_probes.cli import main; main()"
    model = str(ROOT / "data" / "miniature" / "weak")
    done = subprocess.run([sys.executable, "-c", code, "doctor", model], capture_output=True, text=True)
    remedy = f"w2s: this command needs {library}, which is not installed: pip install 'w2s-probes[models]'\n"
    assert (done.returncode, done.stderr) == (2, remedy)


def test_a_module_of_ours_that_is_missing_is_a_bug_and_no_users_mistake() -> None:
    with pytest.raises(ModuleNotFoundError), checkout.from_checkout():
        import_module("extract.none_such")


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="as it was"), checkout.from_checkout():
        raise InputError("as it was")
