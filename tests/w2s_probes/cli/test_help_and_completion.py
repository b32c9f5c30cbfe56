"""First contact with `w2s`: help, version and completion come at once; a mistyped name is told the nearest one."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
import typer

import w2s_probes
from tests.conftest import ROOT
from w2s_probes.cli import options
from w2s_probes.cli.app import VERBS, app, load
from w2s_probes.cli.probe_options import with_options
from w2s_probes.probes import PROBES

Call = Callable[..., None]
Failing = Callable[..., str]
HEAVY = {"numpy", "pandas", "scipy", "sklearn", "faiss", "h5py", "torch", "transformers", "matplotlib", "joblib"}
# Says everything that a user asks for without giving work, in one process, and what that has loaded.
ASK = """
import contextlib, io, json, os, sys
from w2s_probes.cli import main
from w2s_probes.cli.app import VERBS
said = {}
def ask(name, *arguments, **environment):
    os.environ.update(environment)
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main(arguments)
    said[name] = out.getvalue()
    for key in environment:
        del os.environ[key]
ask("version", "--version")
ask("-V", "-V")
ask("help", "--help")
for verb in VERBS:
    ask(f"help {verb}", verb, "--help")
for words, at in json.loads(sys.argv[1]):
    ask(words, COMP_WORDS=words, COMP_CWORD=str(at), _W2S_COMPLETE="complete_bash")
    if not words.endswith(" "):
        ask(f"zsh: {words}", _TYPER_COMPLETE_ARGS=words, _W2S_COMPLETE="complete_zsh")
        ask(f"fish: {words}", _TYPER_COMPLETE_ARGS=words, _TYPER_COMPLETE_FISH_ACTION="get-args",
            _W2S_COMPLETE="complete_fish")
for shell in ("bash", "zsh", "fish"):
    ask(f"script {shell}", _W2S_COMPLETE=f"source_{shell}")
print(json.dumps([said, sorted({name.partition(".")[0] for name in sys.modules})]))
"""
COMPLETED: dict[str, tuple[int, list[str]]] = {
    "w2s ": (1, [*VERBS]),
    "w2s fil": (1, ["filter"]),
    "w2s cache ": (2, ["ls", "gc"]),
    "w2s filter --con": (2, ["--contamination", "--connectivity"]),
    "w2s filter acts weak.jsonl --by ": (5, [*PROBES, "channel", "confident", "overlap", "raters", "best"]),
    "w2s student acts weak.jsonl --loss log": (5, ["logconf", "logconf-batch"]),
    "w2s extract model --position ": (4, ["last", "first", "mean", "all", "span", "answer"]),
    "w2s filter ac": (2, []),  # no word of ours: the shells then offer files
    "w2s filter acts weak.jsonl --out ke": (5, []),
    "w2s extract mod": (2, []),
}


@pytest.fixture(scope="module")
def asked() -> tuple[dict[str, str], set[str]]:
    words = json.dumps([[text, at] for text, (at, _) in COMPLETED.items()])
    environment = {key: value for key, value in os.environ.items() if key not in ("FORCE_COLOR", "NO_COLOR")}
    done = subprocess.run(
        [sys.executable, "-c", ASK, words], capture_output=True, text=True, cwd=ROOT, env=environment, check=True
    )
    said, modules = json.loads(done.stdout)
    return said, set(modules)


def test_help_version_and_completion_load_nothing_that_computes(asked: tuple[dict[str, str], set[str]]) -> None:
    assert not asked[1] & HEAVY
    assert "typer" in asked[1]  # the control: what was loaded is seen


def test_the_version_is_that_of_the_package(asked: tuple[dict[str, str], set[str]]) -> None:
    assert asked[0]["version"] == asked[0]["-V"] == f"w2s-probes {w2s_probes.__version__}\n"


@pytest.mark.parametrize("arguments", [["-V"], ["filter", "--help"], ["fliter"]], ids=" ".join)
def test_the_package_run_as_a_module_is_w2s(arguments: list[str]) -> None:
    both = [
        subprocess.run([sys.executable, *start, *arguments], capture_output=True, text=True, cwd=ROOT)
        for start in (["-m", "w2s_probes"], ["-c", "from w2s_probes.cli import main; main()"])
    ]
    assert (both[0].returncode, both[0].stdout, both[0].stderr) == (both[1].returncode, both[1].stdout, both[1].stderr)
    assert both[0].stdout or both[0].returncode == 2


def test_the_overview_has_a_line_for_each_command_under_its_heading(asked: tuple[dict[str, str], set[str]]) -> None:
    headings = re.split(r"╭─ (\w+) ─+╮", asked[0]["help"])
    panels = dict(zip(headings[1::2], headings[2::2], strict=True))
    for name, verb in VERBS.items():
        assert re.search(rf"│ {name} +{re.escape(verb.help)} +│", panels[verb.panel]), name  # one line, not folded
    assert "Commands" not in panels  # nothing stands outside the groups


@pytest.mark.parametrize("verb", VERBS)
def test_each_help_names_its_command_and_explains_each_option(
    verb: str, asked: tuple[dict[str, str], set[str]]
) -> None:
    assert f"Usage: w2s {verb} " in asked[0][f"help {verb}"]
    for path, command in commands(load(verb), verb):
        assert command.help, path
        for parameter in command.params:
            assert parameter.help, f"{path}: {parameter.name}"


def commands(command: Any, path: str) -> list[tuple[str, Any]]:
    """The command, or those of a group, by what is typed."""
    inner = getattr(command, "commands", None)
    return [(f"{path} {name}", one) for name, one in inner.items()] if inner else [(path, command)]


def functions(verb: str) -> list[Any]:
    """The function behind a command, or those of a group."""
    module, _, name = VERBS[verb].where.partition(":")
    found = getattr(import_module(f"w2s_probes.cli.commands.{module}"), name)
    return (
        [one.callback for one in found.registered_commands] if isinstance(found, typer.Typer) else [with_options(found)]
    )


def kind(annotation: Any) -> str:
    """What an option holds, whether it may be left out or repeated, or not."""
    inner = [one for one in get_args(annotation) if one is not NoneType]
    if get_origin(annotation) in (Union, UnionType, list):
        return kind(inner[0])
    return str(sorted(map(str, inner)) or annotation)


def test_an_option_that_stands_in_several_commands_takes_the_same_kind_of_value() -> None:
    kinds: dict[str, set[str]] = {}
    for verb in VERBS:
        for function in functions(verb):
            for name, annotation in get_type_hints(function).items():
                kinds.setdefault(name, set()).add(kind(annotation))
    # `plan` can do with a number of rows in place of their file; `sweep` takes several contaminations and values;
    # `import` is told what another program did, and may not look it up in a checkpoint.
    # `plan` is told how good a supervisor is, `compare` where its scores are; `export` may leave the truth out.
    # `demo` is told of what kind its students are, `sweep` which losses teach them.
    # `steer` adds a direction or ablates it; elsewhere --by names a probe.
    # `predict` reads a trained student, `deception` a student's scores. `export` tells tasks of one row from those of
    # pairs, `debate` names one of data/tasks.
    # `filter` is told by which probe, `audit draw` in which way rows are drawn.
    # `combine` has a rule where others have a probe. `steer` takes one probe, `foretell` compares several.
    known = {
        "by",
        "students",
        "rows",
        "contamination",
        "knn_k",
        "topo_k",
        "graph_k",
        "logistic_l2",
        "mlp_l2",
        "position",
        "dtype",
        "weak",
        "files",
        "truth",
        "student",
        "task",
        "probe",
    }
    assert {name for name, found in kinds.items() if len(found) > 1} <= known
    assert kinds["layer"] == {str(str)}
    assert len(kinds["rows"]) > 1  # the control: a difference would be seen


def test_what_the_options_say_of_the_library_is_what_it_says_itself() -> None:
    from w2s_probes.sweep import grid

    assert set(get_args(options.ChooseBy)) == set(get_args(grid.ChooseBy))


@pytest.mark.parametrize("typed", COMPLETED)
def test_what_was_begun_is_completed(typed: str, asked: tuple[dict[str, str], set[str]]) -> None:
    said, (_, expected) = asked[0], COMPLETED[typed]
    assert said[typed].split() == expected
    if f"zsh: {typed}" in said:
        zsh, fish = said[f"zsh: {typed}"], said[f"fish: {typed}"]
        assert re.findall(r'^(?:_arguments .*\(\()?"([^"]+)"', zsh, flags=re.MULTILINE) == expected
        assert [line.partition("\t")[0] for line in fish.split("\n") if line] == expected
        if not expected:
            assert zsh.strip() == "_files"


def test_each_shell_gets_a_script_that_asks_w2s_and_falls_back_to_files(
    asked: tuple[dict[str, str], set[str]],
) -> None:
    said = asked[0]
    assert "complete -o default -F _w2s_completion w2s" in said["script bash"]
    assert "compdef _w2s_completion w2s" in said["script zsh"]
    assert "complete --command w2s" in said["script fish"]
    for shell in ("bash", "zsh", "fish"):
        assert f"_W2S_COMPLETE=complete_{shell}" in said[f"script {shell}"]


def test_completion_is_installed_where_the_shell_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, w2s: Call
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("typer._completion_shared._get_shell_name", lambda: "bash")
    w2s("--install-completion")
    scripts = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("_w2s_completion" in path.read_text() for path in scripts)
    assert (tmp_path / ".bashrc").exists()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            "filter a b --layer 1 --contaminaton=.1 --out x",
            "No such option: --contaminaton; did you mean --contamination? See `w2s filter --help`.",
        ),
        ("--quite filter", "No such option: --quite; did you mean --quiet? See `w2s --help`."),
        ("cache gc --unfinishd", "No such option: --unfinishd; did you mean --unfinished? See `w2s cache gc --help`."),
        ("filter --zzz", "No such option: --zzz. See `w2s filter --help`."),
        ("relable a b", "No such command: relable; did you mean relabel? See `w2s --help`."),
        ("cache lst", "No such command: lst; did you mean ls? See `w2s cache --help`."),
        ("xyzzy", "No such command: xyzzy. See `w2s --help`."),
        (
            "extract m --rows r --position lsat",
            "position 'lsat': did you mean 'last'?",
        ),
        ("filter a b --out x", "Missing option '--layer'. See `w2s filter --help`."),
        ("filter --layer", "Option '--layer' requires an argument. See `w2s filter --help`."),
        ("filter a b --layer 1 --out x --k 1.5", "Invalid value for '--k'"),
    ],
)
def test_a_mistyped_line_is_told_the_nearest_name(typed: str, said: str, fails: Failing) -> None:
    assert said in fails(*typed.split())


def test_every_command_of_the_table_is_one_of_the_app() -> None:
    assert [command.name for command in app.registered_commands] == list(VERBS)
    assert not app.registered_groups
