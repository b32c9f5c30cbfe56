"""Probes and arrays on disk: what was fitted comes back, nothing is run on reading, damage is noticed."""

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from tests.conftest import planted
from w2s_probes import InputError, KNNProbe, LogisticProbe, TopoProbe, load_probe, save_probe
from w2s_probes.io.arrays import read_arrays, write_arrays
from w2s_probes.students import HeadStudent

PROBES: list[Any] = [
    *(KNNProbe(7), LogisticProbe(0.1), TopoProbe(9, 5, "weak")),
    *(HeadStudent("logconf", epochs=3), HeadStudent(epochs=2, l2=0.1)),
]


@pytest.mark.parametrize("probe", PROBES, ids=repr)
@pytest.mark.parametrize("named", [False, True])
def test_a_saved_probe_comes_back_as_it_was(probe: Any, named: bool, tmp_path: Path) -> None:
    data = planted()
    y: Any = np.where(data.weak > 0.5, "yes", "no") if named else data.weak
    X: Any = pd.DataFrame(data.X, columns=[f"x{i}" for i in range(data.X.shape[1])]) if named else data.X
    fitted = clone(probe).fit(X, y)
    _ = getattr(fitted, "out_of_sample_", None)  # its search is not kept
    save_probe(fitted, tmp_path / "probe.safetensors")
    back = load_probe(tmp_path / "probe.safetensors")
    assert type(back) is type(probe)
    assert back.get_params() == probe.get_params()
    assert back.classes_.tolist() == fitted.classes_.tolist()
    assert np.array_equal(back.predict_proba(X), fitted.predict_proba(X))
    assert np.array_equal(back.predict(X), fitted.predict(X))
    if hasattr(fitted, "out_of_sample_"):
        assert np.array_equal(back.out_of_sample_, fitted.out_of_sample_)
    assert b"sklearn" not in (tmp_path / "probe.safetensors").read_bytes()


def test_what_is_no_fitted_probe_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not fitted"):
        save_probe(KNNProbe(), tmp_path / "p")
    with pytest.raises(InputError, match="LogisticRegression cannot be saved"):
        save_probe(LogisticRegression(), tmp_path / "p")
    assert not list(tmp_path.iterdir())


def test_files_that_hold_no_probe_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "p.safetensors"
    with pytest.raises(InputError, match="not a readable safetensors file"):
        load_probe(file)
    file.write_bytes(pickle.dumps(KNNProbe()))
    with pytest.raises(InputError, match="not a readable safetensors file"):
        load_probe(file)
    write_arrays(file, {"a": np.arange(3)}, {"probe": "KNNProbes"})
    with pytest.raises(InputError, match="holds no probe"):
        load_probe(file)


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    write_arrays(file, {"a": np.arange(100.0), "none": np.empty((0, 3))}, {"k": [1, None]})
    arrays, record = read_arrays(file)
    assert arrays["a"].tolist() == list(range(100))
    assert arrays["none"].shape == (0, 3)
    assert record == {"k": [1, None]}
    content = bytearray(file.read_bytes())
    for place in range(0, len(content), 37):
        content[place] ^= 8
        file.write_bytes(content)
        with pytest.raises(InputError):
            read_arrays(file)
        content[place] ^= 8


def test_a_file_that_was_written_under_another_key_is_refused_there(tmp_path: Path) -> None:
    a, b = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    for file in (a, b):
        write_arrays(file, {"x": np.arange(3)}, {}, key=file.name)
        assert read_arrays(file, key=file.name)[0]["x"].tolist() == [0, 1, 2]
        assert read_arrays(file)[1] == {}  # whoever does not ask does not mind
    b.replace(a)
    with pytest.raises(InputError, match="written under another name"):
        read_arrays(a, key=a.name)
    content = a.read_bytes()
    assert content.count(b"b.safetensors") == 1
    a.write_bytes(content.replace(b"b.safetensors", b"a.safetensors"))  # the key is part of the checksum
    with pytest.raises(InputError, match="not what was written"):
        read_arrays(a, key=a.name)
    write_arrays(a, {"x": np.arange(3)}, {})
    with pytest.raises(InputError, match="written under another name"):
        read_arrays(a, key=a.name)


def test_a_record_that_is_no_object_or_is_nested_too_deep_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    for about in ("[]", "3", '{"record": 1}', "[" * 200_000, '{"record": {"n": ' + "9" * 10_000 + "}}"):
        save_file({"x": np.arange(3)}, file, metadata={"w2s-probes": about})
        with pytest.raises(InputError):
            read_arrays(file)


def test_a_students_head_is_loaded_where_nothing_has_loaded_it_before(tmp_path: Path) -> None:
    data = planted()
    head = HeadStudent(epochs=2).fit(data.X, data.weak)
    save_probe(head, tmp_path / "head.safetensors", notes={"layer": 3})
    np.save(tmp_path / "X.npy", data.X)
    code = (
        "import sys, numpy as np; from w2s_probes import load_probe; assert 'torch' not in sys.modules; "
        f"p = load_probe({str(tmp_path / 'head.safetensors')!r}).predict_proba(np.load({str(tmp_path / 'X.npy')!r})); "
        "print(p[:, 1].tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == head.predict_proba(data.X)[:, 1].tolist()


def test_a_students_head_is_refused_in_one_line_where_torch_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_arrays(tmp_path / "head.safetensors", {"coef_": np.zeros((1, 2))}, {"probe": "HeadStudent"})
    for module in ("head", "head_lesson"):
        monkeypatch.delitem(sys.modules, f"w2s_probes.students.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"HeadStudent needs torch: pip install 'w2s-probes\[models\]'"):
        load_probe(tmp_path / "head.safetensors")
