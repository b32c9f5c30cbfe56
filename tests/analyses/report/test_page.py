"""What the report says, that it says it safely, the same each time, and what it refuses."""

import hashlib
import json
import re
import shutil
from base64 import b64encode
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.report import write_report
from analyses.report.load.folder import read_folder
from analyses.report.views import sweeps
from analyses.report.views.cards import cards
from analyses.report.views.differences import against
from tests.worlds.report_folders import (
    FILTER,
    ORACLE,
    PLAIN,
    RANDOM,
    SIGNAL,
    kept_table,
    write_kept,
    write_run,
    write_sweep,
)
from tests.worlds.sweeping import planted_store
from w2s_probes import InputError
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.metrics.recovery_over_seeds import gap_recovered_over_seeds
from w2s_probes.sweep import sweep
from w2s_probes.sweep.beside import parts_path

EVIL = "</td></table><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'> \u202e \x07"


class Read(HTMLParser):
    """The tags, the attributes and the texts of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.cells: list[list[str]] = []
        self.texts: list[str] = []
        self.names: list[str] = []  # of a list of facts
        self.values: list[str] = []
        self._cell = False
        self._in = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")
            self._cell = True
        self._in = tag
        if tag in ("dt", "dd"):
            (self.names if tag == "dt" else self.values).append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cell = False
        self._in = ""

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self._cell:
            self.cells[-1][-1] += data
        if self._in in ("dt", "dd"):
            (self.names if self._in == "dt" else self.values)[-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def row(self, *begin: str) -> list[str]:
        """The only row that begins with these cells and goes on."""
        found = [row for row in self.cells if row[: len(begin)] == list(begin)]
        assert found, begin
        return found[0]


def reported(folder: Path) -> Read:
    return Read(write_report(folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four tasks and two seeds, one task without a gap; a sweep; a filtered label file."""
    made = tmp_path_factory.mktemp("folders") / "mixed"
    write_run(made, seeds=(0, 1), signal=SIGNAL | {ORACLE: 2.5}, no_gap="delta")
    write_sweep(made)
    write_kept(made / "kept.jsonl")
    return made


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    return write_report(folder).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def read(html: str) -> Read:
    return Read(html)


def test_chance_is_not_called_a_win_and_few_tasks_are_said_to_show_nothing(read: Read) -> None:
    assert "Over 4 tasks no method differs from the plain student (student-xent) by more than chance" in read.text
    assert "With 4 tasks the smallest p this test can give is 0.125," in read.text
    assert "hardly an outcome of this run could have been significant" in read.text


def test_a_method_that_is_better_on_every_task_is_named_and_an_oracle_or_control_never_is(tmp_path: Path) -> None:
    tasks = [f"task{i}" for i in range(9)]
    signal = {"weak": 0.8, "ceiling": 4.0, PLAIN: 1.5, FILTER: 2.5, RANDOM: 2.5, ORACLE: 3.5}
    write_run(tmp_path, tasks, signal=signal)
    text = reported(tmp_path).text
    headline = re.search(r"by more than chance explains, 1 of 1 methods better: ([^;]*); none worse", text)
    assert headline
    assert headline[1] == FILTER
    beside = re.search(rf"Each filter against its own control.*?: {FILTER} (.\d\.\d+) \(p = ([\d.]+)\)", text)
    assert beside
    assert float(beside[2]) > 0.05  # the control is as good: the gain is not the probe's


def test_worse_is_said_as_loudly_as_better(tmp_path: Path) -> None:
    signal = {"weak": 0.8, "ceiling": 4.0, PLAIN: 2.5, FILTER: 1.5, RANDOM: 2.5, "relabel-knn": 3.5}
    write_run(tmp_path, [f"task{i}" for i in range(9)], signal=signal)
    text = reported(tmp_path).text
    assert "1 of 2 methods better: relabel-knn; 1 of 2 methods worse: filter-knn" in text
    assert re.search(rf"Each filter against its own control.*?{FILTER} −0\.\d+ \(p = 0\.00", text)


def test_a_filter_without_its_own_control_is_said_to_say_nothing(tmp_path: Path) -> None:
    write_run(tmp_path, signal={name: value for name, value in SIGNAL.items() if name != RANDOM})
    assert f"Run without the control of its own ({RANDOM}), a filter's number says nothing" in reported(tmp_path).text


def test_two_stages_and_smoothed_labels_stand_beside_their_own_controls_by_name(tmp_path: Path) -> None:
    pairs = {"two-stage-knn": "control-random-two-stage-knn", "relabel-graph": "control-permuted-graph"}
    signal = {"weak": 0.8, "ceiling": 4.0, PLAIN: 1.5, "two-stage-topo": 1.5}
    signal |= dict.fromkeys(pairs, 2.5) | dict.fromkeys(pairs.values(), 1.5)
    write_run(tmp_path, [f"task{i}" for i in range(9)], signal=signal)
    text = reported(tmp_path).text
    assert re.search(r"Each method in two stages against its own control.*?: two-stage-knn \+0\.\d+ \(p = 0\.00", text)
    assert re.search(r"Labels smoothed on the graph against.*?: relabel-graph \+0\.\d+ \(p = 0\.00", text)
    assert re.search(r"own \(control-random-two-stage-topo\), the number .*? choice of rows: two-stage-topo\.", text)
    compared = pd.read_csv(tmp_path / "comparisons.csv")
    own = compared[compared["against"].isin(pairs.values()) & (compared["metric"] == "auroc")]
    assert dict(zip(own["method"], own["against"], strict=True)) == pairs


def test_one_task_is_answered_by_its_test_rows_and_said_to_be_one(tmp_path: Path) -> None:
    write_run(tmp_path, ["only"], seeds=(0, 1, 2), signal=SIGNAL | {"student-logconf": 2.8})
    text = reported(tmp_path).text
    assert "On the one task, only, against the plain student (student-xent), by more than chance explains, " in text
    assert "1 of 2 methods better: student-logconf; none worse" in text
    assert "One task says nothing about others" in text


def test_one_seed_on_one_task_is_given_no_verdict_and_its_intervals_are_of_rows_only(tmp_path: Path) -> None:
    write_run(tmp_path, ["only"], seeds=(0,), signal=SIGNAL | {"student-logconf": 2.8})
    found = reported(tmp_path)
    assert "nothing here can be called better or worse than the plain student (student-xent)" in found.text
    assert not re.search(r"methods (better|worse)|one in forty|methods are above", found.text)
    assert found.row("only", PLAIN)[5] == "rows only"
    assert "one seed: intervals hold the choice of the test rows only" in found.text
    assert "(rows only)" in next(text for text in found.texts if "Each filter against its own control" in text)


def test_without_the_plain_student_nothing_is_claimed(tmp_path: Path) -> None:
    write_run(tmp_path, signal={name: value for name, value in SIGNAL.items() if name != PLAIN})
    assert "Nothing is compared: the plain student (student-xent) was not run." in reported(tmp_path).text


def test_every_task_and_method_stands_with_its_auroc_pgr_and_status(folder: Path, read: Read) -> None:
    results = pd.read_csv(folder / "results.csv")
    over: Any = results[results["seed"].isna()].set_index(["task", "method", "metric"])
    for task in ("alpha", "delta"):
        for method in (PLAIN, FILTER, RANDOM):
            row = read.row(task, method)
            one = over.loc[(task, method, "auroc")]
            assert row[2] == f"{one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}]"
            status = over["status"][task, method, "pgr_auroc"]
            assert re.fullmatch(rf"{status}(: (ceiling|gap) .*)?", row[5])
            assert (": " in row[5]) == (status in ("undefined", "unstable"))
    value = over.loc[("alpha", PLAIN, "pgr_auroc")]
    assert read.row("alpha", PLAIN)[4].startswith(f"{value['value']:.2f} [".replace("-", "−"))
    assert read.row("delta", PLAIN)[4] == "–"
    assert read.row("delta", PLAIN)[5].startswith("undefined: ceiling not above weak")
    assert read.row("alpha", "ceiling (oracle)")
    assert read.row("alpha", f"{ORACLE} (oracle)")
    own = over["status"].xs(PLAIN, level="method").xs("pgr_auroc", level="metric")
    for task, status in own.items():
        assert (f"{task}: PGR is {status}: the " in read.text) == (status != "ok")
    assert own["delta"] == "undefined"


def test_differences_to_the_plain_student_are_those_of_the_results(folder: Path) -> None:
    for seeds in ([0], [0, 1]):
        tables = {seed: pd.read_csv(folder / "predictions" / f"alpha-{seed}.csv") for seed in seeds}
        found = against(tables, PLAIN)
        names = ["weak", "ceiling", PLAIN, FILTER]
        truth = tables[0]["truth"]
        reference = gap_recovered_over_seeds(truth, [{name: one[name] for name in names} for one in tables.values()])
        for name in ("weak", "ceiling", FILTER):
            expected = reference.difference(name, PLAIN)
            assert found[name].estimate == expected
            assert found[name].seeds == len(seeds)
            assert found[name].p == pytest.approx(reference.p_value(name, PLAIN), nan_ok=True)


def test_what_was_run_and_how_to_run_it_again_is_said(folder: Path, read: Read) -> None:
    assert "w2s run recipe.toml --out again" in read.text
    assert " ".join((folder / "recipe.toml").read_text().split()) in read.text
    assert "Left out: filter-topo on alpha, seed 0: one class is left" in read.text
    for said in ("sha256:alpha", "sha256:abc", "m/strong"):
        assert any(said in cell for row in read.cells for cell in row)
    assert read.row("alpha", "0", "120 (50%)")[3:6] == ["120 (50%)", "4 (50%)", "120 (50%)"]


def test_costs_are_summed_by_method_and_what_was_kept_is_told_apart(read: Read) -> None:
    assert read.row(PLAIN, "12.00") == [PLAIN, "12.00", "–", "–", "–", "–", "8 of 8"]
    assert read.row(FILTER, "12.00") == [FILTER, "12.00", "–", "10.00", "–", "–", "0 of 8"]


def test_report_cards_stand_beside_chance_with_examples_of_removed_rows(folder: Path, read: Read) -> None:
    row = read.row("alpha", "0", FILTER)
    assert row[3] == "12 (10%)"
    assert re.fullmatch(r"\d+% \[\d+%, \d+%\]", row[5])
    kept = read.row("kept.jsonl", "10 (25%)")
    assert kept[2] == "50%"  # five of the ten removed labels are wrong
    # Label .1 at a distance of .75: only .85 is a probability.
    assert ["0.10", "0.85", "1", "disagreement", "the film <b>was</b> good & long 0"] in read.cells
    assert not any("not a training row" in cell for row in read.cells for cell in row)


def test_the_best_cell_of_a_sweep_is_re_estimated_on_rows_held_out(read: Read) -> None:
    said = "logistic at layer 2, AUROC by truth 0.900, +0.123 [+0.070, +0.170] against that of the weak labels"
    assert f"Best cell of weak-labels: {said}, on rows held out." in read.text
    rows = [row for row in read.cells if row[0] == "layer 2, logistic, λ = 1"]
    assert [row[1] for row in rows] == ["held out", "training"]
    assert rows[0][-1] == "18"
    assert rows[0][2] == "0.770 [0.740, 0.800]"
    headings = next(row for row in read.cells if row[:2] == ["layer ↕", "probe ↕"] or row[:2] == ["layer", "probe"])
    held_out = ["held-out" in one for one in headings[4:]]
    assert held_out == sorted(held_out, reverse=True)
    assert 0 < sum(held_out) < len(held_out)


@pytest.mark.parametrize(("low", "chance"), [(0.286, True), (0.5, True), (None, True), (0.51, False)])
def test_a_best_cell_that_is_no_better_than_chance_is_called_so(low: float | None, chance: bool) -> None:
    best = {"labels": "mine", "probe": "knn", "layer": 2, "held_out": {"weak_auroc": [0.914, low, 0.996]}}
    verdict = "No cell tells the weak labels of mine apart, the best one included."
    assert (verdict in sweeps._headline([best])) == chance


def test_what_was_swept_is_said_in_words_and_what_was_not_is_left_out(read: Read) -> None:
    said = dict(zip(read.names, read.values, strict=True))
    assert said["Neighbours k of kNN"] == "1, 10, 100"
    assert said["Penalties λ of the logistic probe"] == "0, 0.01, 1"
    assert said["Key of the activations"] == "0123456789ab…"
    assert all(said.values())
    assert not {name for name in said if "_" in name or "Topo" in name or "Shares" in name}


def test_the_working_folder_of_a_sweep_is_no_sweep_of_its_own(tmp_path: Path) -> None:
    world, w2s_sweep = planted_store(tmp_path / "acts"), tmp_path / "swept"
    out = w2s_sweep / "sweep.csv"
    sweep(world.path, world.table, knn_k=[3], contamination=[0.1], parts=parts_path(out)).write(out)
    assert list((w2s_sweep / "sweep.parts").glob("*.jsonl.gz"))
    (w2s_sweep / ".hidden").mkdir()
    for place in (".hidden", "sweep.parts"):  # whatever is in the parts: the table itself is there, too
        shutil.copy(out, w2s_sweep / place / "layer-000.csv")
    assert [one.name for one in read_folder(w2s_sweep).sweeps] == ["sweep.csv"]
    found = reported(w2s_sweep)
    assert dict(zip(found.names, found.values, strict=True))["Shares that filters were asked to remove"] == "0.1"
    assert any("wrong of removed, by truth" in cell for row in found.cells for cell in row)
    (w2s_sweep / ".hidden").rename(w2s_sweep / "shown")  # the control
    assert [one.name for one in read_folder(w2s_sweep).sweeps] == ["sweep.csv", "shown/layer-000.csv"]


def test_curves_follow_the_setting_that_weak_labels_choose(folder: Path, read: Read) -> None:
    # knn at layer 1 is best at k = 100, the sixth cell: .6 + .05 + .02 on training rows.
    assert "knn: 0.640 at 0, 0.700 at 2, highest 0.700 at 2" in read.text
    assert "logistic, layer 2: " in read.text


def test_every_figure_says_what_it_shows_to_those_who_do_not_see_it(read: Read) -> None:
    drawn = read.tags.count("svg")
    assert drawn >= 8
    assert read.tags.count("desc") == drawn
    ids = [value for name, value in read.attributes if name == "id"]
    assert len(set(ids)) == len(ids)
    named = [value.split() for name, value in read.attributes if name == "aria-labelledby"]
    assert all(one in ids for names in named for one in names)
    # Methods without a value are said, too.
    assert "student-xent undefined" in read.text.replace(" (undefined)", " undefined")


def test_the_page_fetches_nothing_and_its_policy_lets_only_its_own_script_run(html: str) -> None:
    assert not re.search(r"\b(src|srcset|action|formaction|poster|background)\s*=", html)
    assert set(re.findall(r'href="(.)', html)) == {"#"}
    assert not re.search(r"url\(|@import|https?:|//\w+\.\w", html)
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, flags=re.DOTALL)
        digest = b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'".encode() in html.replace("&#39;", "'").encode()
    assert "default-src 'none'" in html


def test_markup_and_script_in_texts_names_and_recipes_are_shown_as_text(tmp_path: Path) -> None:
    write_run(tmp_path, ["<script>alert(1)</script>".replace("/", "∕"), "b"], text=EVIL)
    write_sweep(tmp_path, labels="<img src=x>")
    write_kept(tmp_path / "kept<b>.jsonl", text=EVIL)
    with (tmp_path / "recipe.toml").open("a") as recipe:
        recipe.write("# </code><script>window.hacked = 1</script>\n")
    found = reported(tmp_path)
    assert found.tags.count("script") == 1
    assert not {"img", "b"} & (set(found.tags) - {"b"})
    assert not any(name.startswith("on") for name, _ in found.attributes)
    shown = EVIL.replace("\x07", "\ufffd")
    assert any(cell.startswith(shown) for row in found.cells for cell in row)
    assert "<img src=x>" in found.values


def test_the_same_folder_gives_the_same_bytes_wherever_it_lies(html: str, folder: Path, tmp_path: Path) -> None:
    first = html.encode()
    copy = shutil.copytree(folder, tmp_path / folder.name)
    assert (copy / "report.html").read_bytes() == first  # is no part of what is reported
    assert write_report(copy, tmp_path / "again.html").read_bytes() == first


def test_a_ladder_of_pairs_has_a_part_for_each(tmp_path: Path) -> None:
    for pair in ("small--large", "small--medium"):
        write_run(tmp_path / pair, ["a", "b"])
    table = pd.read_csv(tmp_path / "small--large" / "results.csv").assign(pair="small--large")
    table.to_csv(tmp_path / "results.csv", index=False)
    (tmp_path / "medium--large" / "labels").mkdir(parents=True)
    found = reported(tmp_path)
    headings = [text.strip() for text in found.texts]
    assert headings.count("small--large") >= 2
    assert headings.count("small--medium") >= 2
    assert "Begun and not finished, so not shown: medium--large" in found.text


def test_a_sweep_or_a_filtered_file_alone_claims_nothing_of_students(tmp_path: Path) -> None:
    write_sweep(tmp_path, seeds=(0, 1), name="layers.csv")
    write_kept(tmp_path / "deep" / "kept.jsonl.gz", truth=False)
    table = read_table(tmp_path / "deep" / "kept.jsonl.gz")
    table = table.assign(keep=True, new_label=[0.9] * 7 + table["label"].tolist()[7:], reason="")
    write_table(table, tmp_path / "relabeled.csv")
    text = reported(tmp_path).text
    assert "relabeled.csv removes no row; 4 of 42 labels changed class" in text
    lead, removed, below = (
        text.index(one)
        for one in (
            "What this folder shows Best cell of weak-labels: logistic at layer 2",
            "deep/kept.jsonl.gz: 10 of 40 rows removed by topo at layer 16. No truth is given",
            "no student was trained in this folder",
        )
    )
    assert lead < removed < below
    assert "Did anything beat the plain student" not in text
    assert text.count("No truth is given, so nothing says whether these labels are wrong") == 2
    assert "deep/kept.jsonl.gz: 10 of 40 rows removed, by topo at layer 16" in text


def test_truth_of_some_rows_alone_judges_a_filter_by_those(tmp_path: Path) -> None:
    table = kept_table()
    known = np.arange(len(table)) % 4 != 3  # of the ten removed 0, 1, 2, 4, 5, 6, 8, 9, of which 0, 1, 2, 4 are wrong
    write_table(table.assign(truth=table["truth"].where(known)), tmp_path / "some.jsonl")
    found = reported(tmp_path)
    (card,) = cards(read_folder(tmp_path).filtered)
    alone = table[known]
    write_table(alone, tmp_path / "only-those.jsonl")
    both = {one.name: one.judged for one in cards(read_folder(tmp_path).filtered)}
    assert both["some.jsonl"] == both["only-those.jsonl"]
    assert (card.known, card.n, card.removed) == (30, 40, 10)
    said = "30 of 40 rows, 8 of 10 removed"
    assert found.row("some.jsonl", "10 (25%)")[2:4] == [said, "50%"]
    assert f"by the truth (known of {said}) 50% of the removed labels are wrong" in found.text
    examples = {row[4]: row[2] for row in found.cells if len(row) == 5 and row[3] == "disagreement"}
    assert {text.rsplit(" ", 1)[1]: truth for text, truth in examples.items()} == {
        "0": "1", "1": "0", "2": "1", "3": "–", "4": "1", "5": "1",
    }  # fmt: skip


def test_truth_of_kept_rows_alone_judges_nothing(tmp_path: Path) -> None:
    table = kept_table()
    write_table(table.assign(truth=table["truth"].where(~(np.arange(len(table)) < 10))), tmp_path / "kept.jsonl")
    text = reported(tmp_path).text
    assert "No removed row has a truth, so nothing says whether these labels are wrong" in text
    assert not re.search(r"\bnan\b", text)


def test_rows_with_ground_truth_are_told_of_supervisors_that_learn_from_them(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    said = {}
    for kind in ("text", "labels"):
        record = json.loads((copy / "run.json").read_text())
        record["recipe"]["weak"] |= {
            "kind": kind,
            "model": None,
            "n_truth": 1500,
            "file": "my-labels.jsonl" if kind == "labels" else None,
        }
        (copy / "run.json").write_text(json.dumps(record))
        found = reported(copy)
        said[kind] = dict(zip(found.names, found.values, strict=True))["Weak supervisor"]
    assert said == {"text": "text, 1,500 rows with ground truth", "labels": "labels: my-labels.jsonl"}


def test_a_run_of_an_earlier_version_is_shown_without_what_it_did_not_write(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "old", ignore=shutil.ignore_patterns("filters", "predictions", "*.toml"))
    record = json.loads((copy / "run.json").read_text())
    for made in record["runs"].values():
        del made["taken"]
    (copy / "run.json").write_text(json.dumps(record))
    text = reported(copy).text
    assert "Seconds by stage were not recorded." in text
    assert "The recipe was not written as TOML" in text


def test_twenty_tasks_and_twenty_methods_stay_a_small_file(tmp_path: Path) -> None:
    names = [f"{kind}-method-{i}" for kind in ("student", "relabel") for i in range(7)]
    signal = SIGNAL | dict.fromkeys([*names, "filter-logistic", "filter-topo"], 1.5)
    write_run(tmp_path, [f"task_with_a_long_name_{i}" for i in range(4)], signal=signal, n=60, text="word " * 60)
    size = write_report(tmp_path).stat().st_size
    assert 200_000 < 5 * size < 1_500_000  # what does not grow with the tasks is counted five times


def break_results(folder: Path) -> None:
    content = (folder / "results.csv").read_bytes()
    (folder / "results.csv").write_bytes(content[: content.rindex(b",", 0, len(content) // 2)])  # within a line


def drop_column(folder: Path) -> None:
    table = pd.read_csv(folder / "results.csv").drop(columns="status")
    table.to_csv(folder / "results.csv", index=False)


def break_verdict(folder: Path) -> None:
    file = next((folder / "filters").glob(f"alpha-0-{FILTER}.jsonl.gz"))
    file.write_bytes(file.read_bytes()[:-40])


def wrong_label(folder: Path) -> None:
    lines = (folder / "kept.jsonl").read_text().splitlines()
    (folder / "kept.jsonl").write_text("\n".join([lines[0].replace('"label": 0.1', '"label": 7'), *lines[1:]]) + "\n")


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "results cut off": (break_results, r"results\.csv: cut off in its last line"),
    "a lost column": (drop_column, r"results\.csv: has no column 'status'"),
    "no record": (lambda at: (at / "run.json").unlink(), r"results\.csv: run\.json is not beside it"),
    "a damaged record": (lambda at: (at / "run.json").write_text('{"recipe": '), r"run\.json: not valid JSON"),
    "another's record": (lambda at: (at / "run.json").write_text("{}"), r"run\.json: not the record of a run"),
    "no comparisons": (lambda at: (at / "comparisons.csv").unlink(), r"comparisons\.csv: missing beside run\.json"),
    "damaged verdicts": (break_verdict, r"alpha-0-filter-knn\.jsonl\.gz: not a readable"),
    "an empty sweep": (lambda at: (at / "sweep.csv").write_text(""), r"sweep\.csv: holds no rows"),
    "a foreign sweep": (lambda at: (at / "sweep.csv").write_text("a,b\n1,2\n"), r"sweep\.csv: has no column"),
    "a damaged table": (lambda at: (at / "x.parquet").write_bytes(b"PAR1"), r"x\.parquet: cannot be read"),
    "a label that is none": (wrong_label, r"kept\.jsonl: the label of row 'row 0' is no number in \[0, 1\]"),
    "a broken line": (
        lambda at: (at / "kept.jsonl").write_text((at / "kept.jsonl").read_text() + '{"id": '),
        r"kept\.jsonl, line 43: not JSON",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_file_is_named_in_one_line_and_nothing_is_written(name: str, folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("report.html"))
    break_it, message = BAD[name]
    break_it(copy)
    with pytest.raises(InputError, match=message) as caught:
        write_report(copy)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("*.html"))


def test_a_folder_with_nothing_to_report_says_so(tmp_path: Path) -> None:
    for made, message in (("nothing", "nothing to report"), ("labels", "its run has not finished")):
        (tmp_path / made).mkdir()
        with pytest.raises(InputError, match=message if made == "labels" else "nothing to report"):
            read_folder(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        write_report(tmp_path / "nowhere")


def test_numbers_are_written_with_true_minus_and_infinity_and_no_negative_nought() -> None:
    from analyses.report.drawing.cells import estimate, p_value, shown

    assert shown(-0.25, ".2f") == "−0.25"
    assert shown(-0.0001, ".2f") == "0.00"
    assert shown(-np.inf) == "−∞"
    assert estimate(0.5, -np.inf, np.inf, ".1f").text == "0.5 [−∞, ∞]"
    assert (p_value(0.0004).text, p_value(0.05).text, p_value(None).value) == ("< .001", ".050", None)
