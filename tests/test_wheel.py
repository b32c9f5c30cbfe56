"""One wheel does everything: built, installed into a fresh environment, and used far from the checkout."""

import gzip
import itertools
import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.worlds.forked import Forked

MOST = 8 << 20  # bytes
PART = ("--set", "seeds=[0]", "--set", "data.tasks=['miniature_sound']")  # of the demo
FEW = [word for size in ("n_train=500", "n_val=150", "n_test=400") for word in ("--set", f"data.{size}")]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel, whose dependencies are those of this one.

    They are found by a line in a .pth file. Python reads no .pth files of a folder that is named there, so this
    environment's own way to the checkout is not followed.
    """
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    install = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--no-deps"]
    subprocess.run([*install, "--quiet", "--no-index", str(wheel)], check=True, capture_output=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder far from the checkout."""
    return tmp_path_factory.mktemp("elsewhere")


def variables() -> dict[str, str]:
    """Those of this process, without its ways to the checkout and to the data."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "W2S_DATA")}


@pytest.fixture(scope="module")
def run(environment: Path, here: Path) -> Run:
    """A function that runs a program of the new environment in a process that starts from nothing."""

    def call(program: str, *words: object, code: int = 0, **more: str) -> "subprocess.CompletedProcess[str]":
        command = [str(environment / "bin" / program), *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=here, env=variables() | more)
        return ended(done, code)

    return call


@pytest.fixture(scope="module")
def w2s(environment: Path, here: Path) -> Iterator[Run]:
    """A function that runs the installed command, forked from a process that has loaded the libraries, not the wheel.

    `run` tries what hangs on how a process starts: the doctor, workers, other packages in the way.
    """
    parent = Forked(environment / "bin" / "python", here, variables())
    yield lambda *words, code=0: ended(parent.run(environment / "bin" / "w2s", *words), code)
    parent.close()


def ended(done: "subprocess.CompletedProcess[str]", code: int) -> "subprocess.CompletedProcess[str]":
    """What was run, which has ended with this code."""
    assert done.returncode == code, f"{' '.join(done.args)}\n{done.stdout}{done.stderr}"
    return done


@pytest.fixture(scope="module")
def home(run: Run) -> Path:
    """The folder of the installed package that holds extract, analyses and data."""
    return Path(run("python", "-c", "from w2s_probes import checkout; print(checkout.on_path())").stdout.strip())


@pytest.fixture(scope="module")
def acts(w2s: Run, home: Path, rows: Path) -> str:
    """A store made by the installed command, named as seen from where it runs."""
    w2s("extract", home / "data/miniature/weak", "--rows", rows, "--out", "acts")
    return "acts"


@pytest.fixture(scope="module")
def rows(home: Path, here: Path) -> Path:
    """A few of the wheel's rows with labels."""
    with gzip.open(home / "data" / "miniature" / "rows" / "miniature_mood" / "test.jsonl.gz", "rt") as file:
        (here / "rows.jsonl").write_text("".join(itertools.islice(file, 200)))
    return here / "rows.jsonl"


def test_the_wheel_is_small_and_takes_one_name(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {"w2s_probes", "w2s_probes-0.1.0.dist-info"}
    assert wheel.stat().st_size < MOST
    within = {name.removeprefix("w2s_probes/_bundled/") for name in names if "/_bundled/" in name}
    for package in ("extract", "analyses"):  # every file of them, and nothing that Python has made of it
        files = {path.relative_to(ROOT).as_posix() for path in (ROOT / package).rglob("*") if path.is_file()}
        assert {name for name in within if name.startswith(package)} == {f for f in files if "__pycache__" not in f}
    assert {"data/tasks/sciq.toml", "data/miniature/strong/model.safetensors"} <= within
    tests = re.compile(r"(^|/)(tests?/|test_[^/]*\.py$|[^/]*_test\.py$|conftest\.py$)")
    assert not [name for name in names if tests.search(name)]
    assert tests.search("w2s_probes/_bundled/tests/a.py")
    assert "w2s_probes/py.typed" in names


def test_the_checkout_is_not_what_is_tried(run: Run, environment: Path, home: Path) -> None:
    assert home.is_relative_to(environment)
    code = "import importlib.util as u, w2s_probes; print(w2s_probes.__file__, u.find_spec('analyses'))"
    where, spec = run("python", "-c", code).stdout.split()
    assert Path(where).is_relative_to(environment)
    assert spec == "None"


def test_a_part_of_the_demo_and_its_report(w2s: Run, tmp_path: Path) -> None:
    # What `w2s demo` runs, with one of its three seeds, one of its four tasks, and a third of its rows: the whole is
    # what `demo` is made by.
    done = w2s("run", "demo", *PART, *FEW, "--out", tmp_path / "demo")
    assert "student-xent" in done.stdout
    assert "demo" in w2s("demo", "--help").stdout
    w2s("report", tmp_path / "demo")
    assert (tmp_path / "demo" / "report.html").stat().st_size > 30_000


def test_a_damaged_store_is_repaired(w2s: Run, home: Path, rows: Path, tmp_path: Path) -> None:
    store = tmp_path / "acts"
    w2s("extract", home / "data/miniature/weak", "--rows", rows, "--layers", "1", "--out", store)
    shard = next(store.rglob("shard-*.h5"))
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2])
    w2s("verify", store, code=2)
    assert "1 shard made again" in w2s("repair", store).stdout
    w2s("verify", store)
    assert shard.read_bytes() == content


def test_a_sweep_in_two_processes_is_that_of_one(w2s: Run, acts: str, rows: Path, tmp_path: Path) -> None:
    for jobs in ("1", "2"):
        out = tmp_path / f"sweep-{jobs}.csv"
        w2s("sweep", acts, rows, "--knn-k", "5", "--l2", "1e-2", "--out", out, "--jobs", jobs)
    assert (tmp_path / "sweep-1.csv").read_bytes() == (tmp_path / "sweep-2.csv").read_bytes()


def test_doctor_plan_and_recipes_by_name(run: Run, w2s: Run, home: Path) -> None:
    assert "checks passed" in run("w2s", "doctor", home / "data" / "miniature" / "weak").stdout
    assert "w2s run demo" in w2s("plan", "demo", *PART).stdout
    assert "stages to do" in w2s("run", "demo", *PART, "--out", "planned", "--dry-run").stdout
    # Its rows lie where this variable says, which is the next thing that a user has to tell it.
    said = w2s("run", "minilm_real", "--out", "real", "--dry-run", code=2).stderr
    assert "the environment variable W2S_DATA is not set" in said


WORKERS = """
from w2s_probes import checkout
checkout.on_path()
from joblib import Parallel, delayed
from analyses.passages import passage
assert Parallel(2)(delayed(passage)("a text") for _ in range(2)) == [passage("a text")] * 2
"""
DASK = """
from w2s_probes import checkout
if __name__ == "__main__":
    checkout.on_path()
    from distributed import Client, LocalCluster
    from analyses.passages import passage
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        assert client.submit(passage, "a text").result() == passage("a text")
"""


def test_processes_that_are_started_from_here_find_the_folders_too(run: Run, tmp_path: Path) -> None:
    run("python", "-c", WORKERS)
    pytest.importorskip("distributed")
    (tmp_path / "script.py").write_text(DASK)
    run("python", tmp_path / "script.py")


def test_saliency_and_the_notebooks_modules_are_imported_from_a_notebook(run: Run, home: Path) -> None:
    code = "from w2s_probes import checkout; checkout.on_path(); "
    for notebook in sorted((home / "analyses" / "notebooks").glob("*.ipynb")):
        cells = json.loads(notebook.read_text())["cells"]
        lines = [line.strip() for cell in cells if cell["cell_type"] == "code" for line in cell["source"]]
        whole = [line for line in lines if line.startswith(("from analyses", "import analyses", "from w2s_probes"))]
        code += "".join(f"{line}; " for line in whole if not line.endswith("("))
    run("python", "-c", code + "assert concept_saliency and token_saliency and miniature")


def test_a_foreign_package_in_the_way_is_refused(run: Run, home: Path, tmp_path: Path) -> None:
    (tmp_path / "extract").mkdir()
    (tmp_path / "extract" / "__init__.py").write_text("")
    said = run("w2s", "doctor", home / "data/miniature/weak", code=2, PYTHONPATH=str(tmp_path)).stderr
    assert said.startswith(f"w2s: {tmp_path / 'extract'}: another package named extract is in the way")
    (tmp_path / "extract" / "__init__.py").unlink()  # a mere folder of the name is no package, and is not in the way
    run("w2s", "extract", "x", "--rows", "none.jsonl", code=2, PYTHONPATH=str(tmp_path))
