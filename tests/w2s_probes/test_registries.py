"""Registries: what is in them, what packages and plugin files add, and what is refused."""

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.plugged import PLUGIN, install, look_again, registries_as_they_are
from w2s_probes import InputError
from w2s_probes.cli.commands.sweep import sweep as sweep_verb
from w2s_probes.export import EXPORTERS, Exporter
from w2s_probes.io.readers import READERS
from w2s_probes.losses import LOSSES
from w2s_probes.losses.added import added, loss_code
from w2s_probes.plugins import load_plugins, load_same, loaded_plugins
from w2s_probes.probes import PROBES, KNNProbe, Probe, ProbeEntry
from w2s_probes.probes.registry import ENTRIES, OTHER_SETTINGS
from w2s_probes.registries import REGISTRIES, Registry, installed_packages
from w2s_probes.sweep import sweep

POINTS = {
    "probes": {"means": "added_one.all:ENTRY"},
    "losses": {"mine": "added_one.all:mine"},
    "readers": {".tsv": "added_one.all:read_tsv"},
    "exporters": {"words": "added_one.all:WORDS"},
}
PACKAGED = (
    PLUGIN.partition('PROBES["means"]')[0]
    + """
ENTRY = ProbeEntry("means", "Means", "l2", 0.25, MeansProbe, "Shrinkage of means")
WORDS = Exporter(write_words, (".txt",))
"""
)


@pytest.fixture(autouse=True)
def _undone() -> Iterator[None]:
    with registries_as_they_are():
        yield


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that installs a package."""
    monkeypatch.syspath_prepend(tmp_path / "site")

    def put(name: str, files: dict[str, str], points: dict[str, dict[str, str]], **more: str) -> None:
        install(tmp_path / "site", name, files, points, **more)
        look_again()

    return put


def plugin(folder: Path, text: str, name: str = "mine.py") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_a_registry_has_ours_first_then_what_was_put_in_then_what_packages_add(site: Callable[..., None]) -> None:
    site("added_one", {"all.py": PACKAGED}, POINTS)
    own = ["xent", "logconf"]
    LOSSES["put-in"] = LOSSES["xent"]
    names = list(LOSSES)
    assert names[:2] == own
    assert names[-2:] == ["put-in", "mine"]
    assert len(LOSSES) == len(names)
    assert "mine" in LOSSES
    assert "another" not in LOSSES
    with pytest.raises(KeyError):
        LOSSES["another"]
    assert "added_one.all" not in sys.modules  # a list, and a question, import nothing
    assert LOSSES["mine"].__name__ == "mine"
    assert "added_one.all" in sys.modules


def test_our_own_entries_are_replaced_and_put_back_by_a_program() -> None:
    real = LOSSES["xent"]
    LOSSES["xent"] = LOSSES["kl"]
    assert not LOSSES.is_own("xent")
    assert set(added(["xent", "kl"])) == {"xent"}
    assert not LOSSES.is_known_to_workers("xent")
    LOSSES["xent"] = real
    assert LOSSES.is_own("xent")
    assert added(["xent", "kl"]) == {}
    with pytest.raises(KeyError):
        del LOSSES["xent"]


def test_a_package_and_a_file_add_to_every_registry(site: Callable[..., None], tmp_path: Path) -> None:
    everywhere: list[tuple[Registry[Any], str]] = [(PROBES, "means"), (LOSSES, "mine")]
    everywhere += [(READERS, ".tsv"), (EXPORTERS, "words")]
    assert not any(name in registry for registry, name in everywhere)
    (loaded,) = load_plugins([plugin(tmp_path, PLUGIN)])
    assert loaded.added == ("probe means", "loss mine", "reader .tsv", "format words")
    assert str(loaded) == f"plugin {tmp_path / 'mine.py'}: adds probe means, loss mine, reader .tsv, format words"
    for registry, name in everywhere:
        assert registry[name] is not None
        assert not registry.is_own(name)
        assert registry.is_known_to_workers(name)
        assert registry.code(name) == loaded.code
        registry.forget(registry._given[name][1])
        assert name not in registry
    site("added_one", {"all.py": PACKAGED}, POINTS)
    codes = set()
    for registry, name in everywhere:
        assert registry[name] is not None
        assert registry.is_known_to_workers(name)
        codes.add(registry.code(name))
    assert len(codes) == 1
    assert None not in codes
    assert "added_one" in installed_packages()


def test_an_entry_of_a_package_keeps_its_code_until_any_file_of_the_package_changes(
    site: Callable[..., None], tmp_path: Path
) -> None:
    codes = []
    for helper in ("A = 1", "A = 1", "A = 2"):
        with registries_as_they_are():
            site("added_one", {"all.py": PACKAGED, "helper.py": helper}, POINTS)
            codes.append((LOSSES.code("mine"), PROBES["means"].code))
    assert codes[0] == codes[1]
    assert all(one != other for one, other in zip(codes[0], codes[2], strict=True))
    assert LOSSES.code("xent") is None
    assert PROBES["knn"].code is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("xent", r"loss 'xent': w2s-probes and package added_one 1.0 \(added_one.all:mine\) both have one"),
        ("twice", r"loss 'twice': package added_(one|two) 1.0 .* and package added_(one|two) 1.0 .* both have one"),
    ],
)
def test_a_name_that_two_packages_have_is_refused_by_both(site: Callable[..., None], name: str, said: str) -> None:
    for package in ("added_one", "added_two") if name == "twice" else ("added_one",):
        site(package, {"all.py": PACKAGED}, {"losses": {name: f"{package}.all:mine"}})
    for _ in range(2):  # each time that the list is wanted
        with pytest.raises(InputError, match=said):
            list(LOSSES)
    assert list(PROBES) == [entry.name for entry in ENTRIES]  # no other registry suffers


def test_a_file_that_adds_a_name_which_is_taken_is_refused_by_both(site: Callable[..., None], tmp_path: Path) -> None:
    site("added_one", {"all.py": PACKAGED}, POINTS)
    adding = "from w2s_probes.losses import LOSSES\nLOSSES[{!r}] = LOSSES['xent']\n"
    load_plugins([plugin(tmp_path, adding.format("first"), "first.py")])
    for name, other in (
        ("kl", "w2s-probes"),
        ("mine", r"package added_one 1.0 \(added_one.all:mine\)"),
        ("first", f"plugin {tmp_path / 'first.py'}"),
    ):
        file = plugin(tmp_path, adding.format(name), "second.py")
        with pytest.raises(InputError, match=f"^plugin {file}, line 2: loss '{name}': {other} and plugin {file} both"):
            load_plugins([file])
    assert "second" not in LOSSES


def test_several_entries_put_in_at_once_are_refused_and_counted_as_one_by_one_are(tmp_path: Path) -> None:
    adding = "from w2s_probes.losses import LOSSES\nLOSSES |= {{{!r}: lambda a, b, *, weight=None: a}}\n"
    real, file = LOSSES["xent"], plugin(tmp_path, adding.format("xent"))
    with pytest.raises(InputError, match=f"line 2: loss 'xent': w2s-probes and plugin {file} both have one"):
        load_plugins([file])
    assert LOSSES["xent"] is real
    (loaded,) = load_plugins([plugin(tmp_path, adding.format("mine"))])
    assert loaded.added == ("loss mine",)
    assert LOSSES.code("mine") == loaded.code
    assert set(added(["xent", "mine"])) == {"mine"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import numpy\n1 / 0", ", line 2: ZeroDivisionError: division by zero"),
        ("def f(:\n  pass", ", line 1: SyntaxError: invalid syntax"),
        ("import no_such_module", ", line 1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("import numpy\n\nnumpy.ones(-1)", ", line 3: ValueError: negative dimensions"),
        ("raise SystemExit(3)", ", line 1: SystemExit: 3"),
        ("raise ValueError('two\\nlines')", ", line 1: ValueError: two lines"),
    ],
)
def test_a_file_that_fails_is_one_line_with_its_line_and_adds_nothing(tmp_path: Path, text: str, said: str) -> None:
    before = {registry.group: list(registry) for registry in REGISTRIES}
    file = plugin(tmp_path, "from w2s_probes.losses import LOSSES\nLOSSES['gone'] = LOSSES['xent']\n" + text)
    first, _, number = said.partition("line ")
    moved = f"{first}line {int(number.partition(':')[0]) + 2}:{number.partition(':')[2]}"
    with pytest.raises(InputError) as error:
        load_plugins([file])
    assert str(error.value).startswith(f"plugin {file}{moved}")
    assert "\n" not in str(error.value)
    assert {registry.group: list(registry) for registry in REGISTRIES} == before
    assert not [one for one in loaded_plugins() if one.path == file]


def test_a_package_that_fails_says_where(site: Callable[..., None], tmp_path: Path) -> None:
    site("added_one", {"all.py": "A = 1\nB = A / 0\n"}, POINTS)
    where = tmp_path / "site" / "added_one" / "all.py"
    said = rf"^package added_one 1.0 \(added_one.all:mine\), {where}, line 2: ZeroDivisionError: division by zero$"
    with pytest.raises(InputError, match=said):
        LOSSES["mine"]
    site("added_one", {"all.py": "A = 1\n"}, POINTS)
    with pytest.raises(InputError, match=r"added_one.all:mine\).*AttributeError: module 'added_one.all' has no"):
        LOSSES["mine"]


class NoFit:
    """Scores without learning."""

    def predict_proba(self, X: Any) -> Any:
        return X


def exporter(*fields: Any) -> Exporter:
    return Exporter(*fields)


def entry(**changed: Any) -> ProbeEntry:
    fields: dict[str, Any] = {"name": "a", "title": "A", "value": "k", "default": 1, "where": KNNProbe, "values": "V"}
    return ProbeEntry(**fields | changed)


def class_called(name: str) -> type[Probe]:
    return type(name, (Probe,), {"__init__": lambda self, k=3: setattr(self, "k", k)})


@pytest.mark.parametrize(
    ("registry", "name", "wrong", "said"),
    [
        (PROBES, "a", KNNProbe, "probe 'a': a ProbeEntry is expected, of a class with fit and predict_proba"),
        (PROBES, "a", entry(where=NoFit), "probe 'a': NoFit has no fit: a class of w2s_probes.probes.Probe"),
        (PROBES, "b", entry(), "its ProbeEntry is called 'a'"),
        (PROBES, "a-", entry(name="a-"), "a name is of small letters, digits, _, and - between them"),
        (
            PROBES,
            "knn-k",
            entry(name="knn-k", value=None),
            "its setting is called knn_k, as that of knn: choose another",
        ),
        (PROBES, "folds", entry(name="folds", value=None), "its setting would be called folds, and there is such an"),
        (PROBES, "held-out", entry(name="held-out", value=None), "its setting would be called held_out, and there is"),
        (PROBES, "a", entry(value="c"), "value is 'c', and k"),
        (PROBES, "a", entry(where="none:A"), "none:A cannot be imported"),
        (PROBES, "attention", entry(name="attention"), "this name stands for a probe of every token already"),
        (PROBES, "best", entry(name="best"), "this name stands for the best of a sweep already"),
        (PROBES, "raters", entry(name="raters"), "this name stands for a panel's votes already"),
        (PROBES, "a", entry(where=class_called("KNNProbe")), "another class is called KNNProbe, by which saved"),
        (PROBES, "a", entry(where=class_called("HeadStudent")), "another class is called HeadStudent, by which"),
        (LOSSES, "a", 3, "loss 'a': this is a int; expected is a function of logits"),
        (LOSSES, "a", lambda logits, *, weight=None: 0, "it takes 1 arguments by place; expected"),
        (LOSSES, "a", lambda logits, soft: 0, "it takes no `weight`; expected"),
        (LOSSES, "a", lambda logits, soft, beta, *, weight=None: 0, "it needs `beta`; expected"),
        (READERS, "tsv", len, "reader 'tsv': a reader is named by the ending"),
        (READERS, ".tsv", "len", "this is a str; expected is a function of a path"),
        (READERS, ".tsv", lambda: None, "it cannot be called with a path"),
        (EXPORTERS, "a", len, "format 'a': this is a builtin_function_or_method; expected is an Exporter"),
        (EXPORTERS, "a", exporter(len), "write cannot be called so"),
        (EXPORTERS, "a", exporter(lambda *given: None, ".txt"), "endings are '.txt', and a tuple"),
    ],
)
def test_an_entry_of_the_wrong_shape_is_refused(registry: Registry[Any], name: str, wrong: Any, said: str) -> None:
    with pytest.raises(InputError) as error:
        registry[name] = wrong
    assert said in str(error.value)
    assert name not in registry


def test_entries_of_the_right_shape_are_not_refused() -> None:
    """The control: what differs from the refused ones in one point."""

    class Own(Probe):
        def __init__(self, k: int = 3) -> None:
            self.k = k

    PROBES["a"] = entry(where=Own)
    assert PROBES["a"].make(5).get_params() == {"k": 5}
    assert PROBES["a"].is_of(Own)
    PROBES["again"] = entry(name="again", where=Own)  # the same class, with another default, say
    PROBES["a"] = entry(where=class_called("Own2"))
    with pytest.raises(InputError, match="another class is called Own2"):
        PROBES["b"] = entry(name="b", where=class_called("Own2"))
    PROBES["a"] = entry(where=class_called("Own2"))  # defined anew, as in a notebook
    LOSSES["a"] = lambda logits, soft, alpha, radius, q=3, *, weight=None: logits
    LOSSES["b"] = lambda *given, **named: given[0]
    READERS[".tsv"] = lambda path, sep="\t": None  # type: ignore[assignment, misc]


def test_a_name_may_have_hyphens_and_a_probe_no_value() -> None:
    class Plain(Probe):
        pass

    PROBES["mean-of-all"] = entry(name="mean-of-all", value=None, where=Plain)
    named = PROBES["mean-of-all"]
    assert (named.setting, named.flag) == ("mean_of_all", "--mean-of-all")
    assert isinstance(named.make(3, index="exact"), Plain)
    PROBES["some-k"] = entry(name="some-k", where=class_called("Own3"))
    assert (PROBES["some-k"].setting, PROBES["some-k"].flag) == ("some_k_k", "--some-k-k")
    with pytest.raises(InputError, match="its setting is called mean_of_all, as that of mean-of-all"):
        PROBES["mean_of_all"] = entry(name="mean_of_all", value=None, where=class_called("Own4"))


def test_no_setting_of_a_probe_can_be_called_like_another_option_of_a_sweep() -> None:
    options = set(inspect.signature(sweep_verb).parameters) | set(inspect.signature(sweep).parameters)
    settings = {entry.setting for entry in PROBES.values()}
    assert options - settings - {"values", "show", "others"} <= OTHER_SETTINGS


def test_a_file_is_loaded_once_and_anew_where_it_has_changed(tmp_path: Path) -> None:
    file = plugin(tmp_path, PLUGIN)
    (first,) = load_plugins([file])
    probe = PROBES["means"]
    assert load_plugins([file, file]) == [first, first]
    assert PROBES["means"] is probe
    code = loss_code("mine")
    (second,) = load_plugins([plugin(tmp_path, PLUGIN.replace("FACTOR = 1.0", "FACTOR = 2.0"))])
    assert second.code != first.code
    assert PROBES["means"] is not probe
    assert PROBES["means"].code == second.code
    assert loss_code("mine") != code
    load_plugins([plugin(tmp_path, "")])
    assert "means" not in PROBES
    assert loaded_plugins()[-1].added == ()
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match=r"is loaded under the same name: rename one of the files"):
        load_plugins([plugin(tmp_path / "other", "A = 2")])


def test_a_worker_refuses_a_file_that_is_another_there(tmp_path: Path) -> None:
    (sent,) = load_plugins([plugin(tmp_path, "A = 1")])
    load_same([sent])
    plugin(tmp_path, "A = 2")
    with pytest.raises(InputError, match="has changed since the work began"):
        load_same([sent])
    sent.path.unlink()
    with pytest.raises(InputError, match=r"mine.py: cannot be read \(No such file or directory\)"):
        load_same([sent])


def test_nothing_of_packages_is_looked_at_before_a_verb_needs_it(tmp_path: Path) -> None:
    """A package that cannot be imported does no harm to the overview, nor to the import of the library."""
    install(tmp_path, "added_one", {"all.py": "import nothing_of_the_kind"}, POINTS)
    code = """if True:
        import sys
        import w2s_probes, w2s_probes.probes, w2s_probes.losses, w2s_probes.export, w2s_probes.cli.app
        from w2s_probes.cli import main
        for words, code in (["--help"], 0), (["schema", "--help"], 0), (["sweep", "--help"], 2):
            looked = "w2s_probes.plugins" in sys.modules or "added_one" in sys.modules
            try:
                main(words)
            except SystemExit as ended:
                print(words[0], ended.code == code, looked, file=sys.stderr)
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{Path(__file__).parents[2]}:{tmp_path}", "PATH": ""},
    )
    said = done.stderr.strip().splitlines()
    assert [line for line in said if line.endswith(("True", "False"))] == [
        "--help True False",
        "schema True False",
        "sweep True False",
    ]
    (line,) = [line for line in said if line.startswith("w2s: ")]
    assert "package added_one 1.0 (added_one.all:ENTRY)" in line
    assert "line 1: ModuleNotFoundError" in line
