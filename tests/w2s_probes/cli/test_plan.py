"""`w2s plan` as a user types it: figures that add up, and one line for what cannot be planned."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import LlamaConfig, LlamaModel

from analyses.costs import plan_recipe
from analyses.experiment.row_sets import RowSets
from analyses.experiment.splits import split_task
from analyses.recipe.read import RECIPES, read_recipe
from analyses.tuning_memory import KEPT, tuning_memory
from extract.costs.estimate import estimate
from extract.costs.flops import block_work
from extract.models.source import ModelSource
from w2s_probes import InputError
from w2s_probes.cli.units import amount, duration, spans
from w2s_probes.students.finetuning.settings import FineTuning

Call = Callable[..., None]
Failing = Callable[..., str]
EIGHT = {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32}
EIGHT |= {"num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "dtype": "bfloat16"}
EIGHT |= {"max_position_embeddings": 8192}
DEMO = RECIPES / "demo.toml"
MINIATURE = RECIPES.parents[1] / "data" / "miniature"
ONE = ["seeds=[0]", 'data.tasks=["miniature_mood"]']  # of the demo's twelve: the settings of one


@pytest.fixture
def eight(tmp_path: Path) -> Path:
    """A folder with the config of Llama 3 8B and nothing else."""
    folder = tmp_path / "eight"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(EIGHT))
    return folder


def test_a_bare_extraction_is_planned_from_its_config(
    w2s: Call, eight: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    w2s("plan", eight, "--rows", 10_000, "--tokens-per-row", 200, "--test-rows", 1000, "--gap", 0.02, "--gap", 0.2)
    text = capsys.readouterr().out
    assert f"model: {eight}" in text
    for line in (
        "parameters     7.50 G, of them 6.98 G in 32 blocks of width 4096",
        "stored         layers 0-32, position last, bfloat16",
        "rows           10,000, 2,000,000 tokens, the longest 200",
        "disk           2.70 GB",
        "weights 15.0 GB",
        "28.1 PFLOP in 32 blocks",
        "3.76 min at 125 TFLOP/s, 40% of an A100's peak in bfloat16",
        "cut            none: texts of up to 8,192 tokens are read whole",
        "on cpu, 1 thread: an estimate, from one product of its width that did ",
    ):
        assert line in text
    narrow, wide = (line.split() for line in text.splitlines() if re.search(r"\[.*, .*\]", line))
    assert (narrow[2], narrow[-3], wide[2], wide[-3:]) == ("0.020", "unstable", "0.200", ["ok", "in", "100%"])


def test_rates_and_options_are_taken(
    w2s: Call, eight: Path, checkpoint: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["plan", eight, "--rows", 1000, "--tokens-per-row", 100, "--layers", "middle", "--position", "all"]
    w2s(*common, "--tokens-per-s", 10, "--dtype", "float32", "--batch-tokens", 512)
    text = capsys.readouterr().out
    assert "layers 16, position all, float32" in text
    assert "2.78 h at 10 tokens/s" in text
    assert "this machine" not in text  # whose time is not asked for where a rate is given
    assert f"disk           {100_000 * 4096 * 4 / 1e9:.2f} GB" in text
    assert "512 tokens" in text
    assert "test rows" not in text
    w2s("plan", checkpoint(), *common[2:6], "--flops-per-s", 1e15)
    assert "at 1.00 PFLOP/s" in capsys.readouterr().out


def test_a_file_of_rows_is_tokenized(
    w2s: Call, world: Path, checkpoint: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    w2s("plan", checkpoint(), "--rows", world / "rows.jsonl")
    text = capsys.readouterr().out
    assert "rows           240, 1,920 tokens, the longest 8" in text
    assert "cut            none: texts of up to 64 tokens are read whole" in text
    assert re.search(
        r"  this machine   about \S+ s on cpu, 1 thread: an estimate, from one of its blocks with random weights that "
        r"did \S+ .?FLOP/s just now; loading the model comes on top\n",
        text,
    )
    assert re.search(r"  memory here    \S+ GB of \S+ .B free, in batches of up to 8,192 tokens\n", text)


def test_texts_that_are_cut_are_counted_with_their_side(
    w2s: Call, world: Path, checkpoint: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["plan", checkpoint(), "--tokens-per-s", 9]
    w2s(*common, "--rows", world / "rows.jsonl", "--max-length", 7)
    said = "cut            240 of 240 texts, on the right: they have more than 7 tokens and lose their end\n"
    assert said in capsys.readouterr().out
    w2s(*common, "--rows", 50, "--tokens-per-row", 90)
    assert "cut            50 texts, on the right: only their first 64 tokens are read\n" in capsys.readouterr().out


def test_positions_by_name_and_rows_left_out_are_in_the_plan_and_in_the_command_that_it_proposes(
    w2s: Call, fails: Failing, checkpoint: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [json.dumps({"text": f"w1 w{n + 2} {'1873' * (n % 2)}", "claim": "w1 "}) for n in range(8)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    call = ["plan", checkpoint(), "--rows", tmp_path / "rows.jsonl", "--tokens-per-s", 9]
    named = ["--position", "claim=span:claim", "--position", "year=regex:[0-9]{4}"]
    w2s(*call, *named, "--missing", "skip", "--site", "mlp")
    text = capsys.readouterr().out
    assert "stored         layers 1-3, mlp, position claim=span:claim, year=regex:[0-9]{4}, float32" in text
    assert "rows           4, 12 tokens, the longest 3; 4 more in which a position is nowhere" in text
    assert "--position claim=span:claim --position 'year=regex:[0-9]{4}' --site mlp --missing skip --out acts" in text
    assert "'regex:[0-9]{4}' is nowhere in 4 of 8 rows" in fails(*call, *named)
    assert "--position last: several are stored, so give each a name" in fails(*call, *named, "--position", "last")
    assert "--missing and --tokens-per-row exclude each other" in fails(
        *call, "--missing", "skip", "--tokens-per-row", 3
    )


def test_a_machine_that_is_too_small_or_cannot_time_it_says_so(
    w2s: Call, eight: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("extract.costs.speed.free_memory", lambda: 5 * 10**8)
    monkeypatch.setattr("extract.costs.speed.BIG", 10**12)
    w2s("plan", eight, "--rows", 10, "--tokens-per-row", 5)
    text = capsys.readouterr().out
    assert re.search(r"memory here    \S+ GB of 500 MB free, in batches of up to 1,024 tokens: it does not fit", text)
    assert re.search(r"not fit; block by block \(w2s extract --offload\) \S+ [GM]B and the states\n", text)
    assert "this machine   cpu, 1 thread, time not estimated: one block alone takes 0.4 GB, and 0.5 GB are free" in text


def test_a_plan_says_where_the_model_asks_for_another_position(
    w2s: Call, checkpoint: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["plan", checkpoint(), "--rows", 5, "--tokens-per-row", 9, "--tokens-per-s", 9]
    w2s(*common, "--position", "first")
    assert "\n  position       causal, so the token that position first reads" in capsys.readouterr().out
    w2s(*common)
    assert "\n  position " not in capsys.readouterr().out
    one = [word for setting in ONE for word in ("--set", setting)]
    w2s("plan", DEMO, *one, "--set", "strong.position=first", "--tokens-per-s", 9)
    assert "after it: --set strong.position=last reads the one" in capsys.readouterr().out


def test_fine_tuning_is_timed_on_this_machine_as_well(w2s: Call, capsys: pytest.CaptureFixture[str]) -> None:
    w2s("plan", RECIPES / "demo_finetuned.toml", *(word for setting in ONE for word in ("--set", setting)))
    text = capsys.readouterr().out
    assert re.search(r"fine-tuning: .*\n  this machine   about .* an estimate, from one of its", text)
    assert re.search(
        r"\n  memory         \S+strong: full, whole in one process, products in bfloat16: .* a process = ", text
    )
    assert "\n                 reckoned from config, settings and rows, and not measured" in text
    assert re.search(r"\n  host memory    \S+ .B while the first process reads the checkpoint", text)


def told(settings: dict[str, Any], **config: Any) -> FineTuning:
    """A fine-tuning whose model the configuration splits, if there is one."""
    return FineTuning(**settings, **({"engine": "trainer"} | config if config else {}))


def test_the_memory_of_a_fine_tuning_is_that_of_its_kind_split_as_its_file_says(eight: Path, tmp_path: Path) -> None:
    source = ModelSource.describe(str(eight))
    costs = estimate(source, np.full(100, 128))
    files = {"FSDP": "distributed_type: FSDP\nnum_processes: 8\nfsdp_config:\n  fsdp_version: 2\n"}
    files |= {
        f"stage {n}": f"distributed_type: DEEPSPEED\nnum_processes: 8\ndeepspeed_config:\n  zero_stage: {n}\n"
        for n in (1, 2, 3)
    }
    P, B = costs.parameters, costs.block_parameters
    found = {"whole": tuning_memory(source, costs, told({"kind": "full"}))}
    for name, text in files.items():
        (tmp_path / "how.yaml").write_text(text)
        found[name] = tuning_memory(source, costs, told({"kind": "full"}, accelerate=f"{tmp_path}/how.yaml"))
        assert found[name].what == f"full, split over 8 processes by {'DeepSpeed, ' * ('stage' in name)}{name}"
    for name, weights, gradients in (
        ("whole", 4 * P, 4 * P),
        ("FSDP", P / 2, P / 2),
        ("stage 1", 4.5 * P, 4 * P),
        ("stage 2", 4.5 * P, P / 2),
        ("stage 3", P, P / 2),
    ):
        n = 1 if name == "whole" else 8
        assert (found[name].weights, found[name].gradients) == pytest.approx((weights, gradients))
        assert (found[name].moments, found[name].copies) == pytest.approx((8 * P / n, 2 * B))
        assert (found[name].loading, found[name].writing) == pytest.approx((4 * P, 16 * P + 4 * P / n))
        assert found[name].all_read == ("stage" in name)
        assert found[name].tokens == (4096 if n == 1 else 512)
    assert found["whole"].gathered == 0
    assert found["FSDP"].gathered == pytest.approx(4 * (P - B + 2 * B / 32) + 4 * (P - B))


def test_adapters_four_bits_and_checkpointed_passes_take_less(eight: Path) -> None:
    source = ModelSource.describe(str(eight))
    costs = estimate(source, np.full(100, 128))
    P, B = costs.parameters, costs.block_parameters
    adapters = 8 * 32 * (4 * 4096 + 2 * 1024 + 2 * 4096 + 3 * (4096 + 14336))  # rank x blocks x sides of 7 matrices
    lora, four = (tuning_memory(source, costs, told({}, **more)) for more in ({}, {"quantize": "nf4"}))
    assert lora.weights == pytest.approx(2 * P + 4 * adapters)
    assert four.weights == pytest.approx(0.52 * B + 2 * (P - B) + 4 * adapters)
    assert (lora.gradients, lora.moments, lora.copies) == (4 * adapters, 8 * adapters, 0)
    plain, again = (
        tuning_memory(source, costs, FineTuning(kind="full", gradient_checkpointing=on)) for on in (False, True)
    )
    assert again.copies == pytest.approx(plain.copies / 32)
    assert again.activations == pytest.approx(plain.activations / 32 + 4096 * 32 * 4 * 4096)


@pytest.mark.parametrize(("dtype", "low"), [(torch.bfloat16, True), (torch.float32, False)])
def test_what_the_way_back_keeps_is_what_autograd_saves(dtype: torch.dtype, low: bool) -> None:
    sizes = {"hidden_size": 256, "intermediate_size": 896, "num_attention_heads": 4, "num_key_value_heads": 1}
    found = []
    for depth in (1, 3):
        config = LlamaConfig(**sizes, num_hidden_layers=depth, vocab_size=64, pad_token_id=0, use_cache=False)
        model = LlamaModel(config).train()
        own = {p.untyped_storage().data_ptr() for p in model.parameters()}
        saved: dict[int, torch.Tensor] = {}

        def keep(tensor: torch.Tensor, own: set[int] = own, saved: dict[int, torch.Tensor] = saved) -> torch.Tensor:
            if tensor.untyped_storage().data_ptr() not in own:
                saved[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        ids = torch.ones(2, 65, dtype=torch.long)
        with (
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
            torch.autocast("cpu", dtype=torch.bfloat16, enabled=low),
        ):
            model(input_ids=ids)
        found.append(sum(t.untyped_storage().nbytes() for t in saved.values()))
    weights = sum(p.numel() for p in model.layers[0].parameters() if p.dim() == 2)
    held = block_work(model.layers[0], config, 0).held
    each = (found[1] - found[0]) / 2 - 2 * weights * low  # which are kept in bfloat16 once more
    assert each / ids.numel() / held == pytest.approx(KEPT[low], rel=0.1)


def read(sets: RowSets, role: str) -> list[pd.DataFrame]:
    """The tables that a model reads: the weak one its own training rows, too."""
    return [table for name, table in sets.tables.items() if role == "weak" or name != "weak"]


def test_a_recipe_is_planned_with_the_rows_of_its_run(w2s: Call, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = read_recipe(DEMO, ["seeds=[0, 1]", 'data.tasks=["miniature_mood", "miniature_pace"]', "data.n_train=500"])
    found = plan_recipe(recipe)
    for role, part in found.models.items():
        needed = [
            {row for sets in split_task(recipe, task).values() for table in read(sets, role) for row in table["id"]}
            for task in recipe.data.tasks
        ]
        assert part.costs.rows == sum(map(len, needed))
        assert not part.at_most
    assert found.models["strong"].costs.layers == [2]
    assert found.models["weak"].costs.position == "mean"
    assert found.fits == 2 * 2 * (2 + len(recipe.methods))
    w2s("plan", DEMO, "--set", 'data.tasks=["miniature_mood"]', "--set", "seeds=[0]")
    text = capsys.readouterr().out
    assert re.search(r"strong model: .*\n.*\n.*layers 2, .*\n +rows +2,800, ", text)
    assert re.search(r"weak model: .*\n.*\n.*position mean, .*\n +rows +3,100, ", text)
    assert "then 12 fits: tasks 1 x seeds 1" in text
    assert "What 900 test rows can show in AUROC, if PGR is 0.5" in text
    assert "intervals      rows only: another training seed moves PGR, too" in text
    assert "correlation of two models' scores within a class: not measured here" in text
    assert "--pilot DIR measures it" in text
    assert re.search(r"PGR \(rows only\), ρ = 0\.2 +PGR \(rows only\), ρ = 0\.5", text)
    assert len(re.findall(r"\[.*?, .*?\] (?:ok|unstable) in", text)) == 2 * 4


def test_a_recipes_words_of_logits_are_looked_up_where_its_texts_are_counted() -> None:
    recipe = read_recipe(DEMO, ["seeds=[0]", 'data.tasks=["miniature_mood"]', 'strong.site="logits:qqzzxx"'])
    with pytest.raises(InputError, match="site logits: 'qqzzxx' is"):
        plan_recipe(recipe)


def test_a_recipes_position_is_looked_for_in_every_row_that_the_run_will_read(w2s: Call, fails: Failing) -> None:
    one = ["seeds=[0]", 'data.tasks=["miniature_mood"]', "data.n_train=300"]
    call = ["plan", DEMO, "--tokens-per-s", 9, *(word for setting in one for word in ("--set", setting))]
    nowhere = fails(*call, "--set", 'strong.position="regex:zzzqq"')
    assert re.search(
        r"task miniature_mood: position 'regex:zzzqq' is nowhere in (\d+) of \1 rows .*: check it", nowhere
    )
    (row_id, text), *_ = (
        split_task(read_recipe(DEMO, one), "miniature_mood")[0].test[["id", "text"]].to_numpy().tolist()
    )
    others = rf"regex:^(?!{re.escape(text)}$)."
    assert f"is nowhere in 1 of 1600 rows ('{row_id}'): mend or drop them\n" in fails(
        *call, "--set", f"strong.position={json.dumps(others)}"
    )
    w2s(*call, "--set", 'strong.position="regex:[a-z]+"')


def test_a_recipes_position_that_is_not_read_is_said_without_options_that_a_recipe_does_not_have(
    fails: Failing, tmp_path: Path
) -> None:
    model = tmp_path / "short"
    shutil.copytree(MINIATURE / "strong", model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 4}))
    settings = ["seeds=[0]", 'data.tasks=["miniature_mood"]', f"strong.model={model}", 'strong.position="regex:[a-z]+"']
    line = fails("plan", DEMO, "--tokens-per-s", 9, *(word for one in settings for word in ("--set", one)))
    assert "task miniature_mood: the marked position 'regex:[a-z]+' is cut off in " in line
    assert line.endswith("of which 4 tokens are read, cut on the right: drop them, or choose another position\n")


def test_models_between_weak_and_strong_are_planned_where_a_method_reads_them() -> None:
    weak = f"{MINIATURE}/weak"
    common = ["seeds=[0]", 'data.tasks=["miniature_mood"]']
    said = "intermediate=[{model='" + weak + "', position='regex:[a-z]+'}]"
    with_it = plan_recipe(read_recipe(DEMO, [*common, said, 'methods=["student-xent", "bootstrap"]']))
    assert with_it.models["intermediate 1"].model == weak
    assert with_it.models["intermediate 1"].costs.rows == with_it.models["strong"].costs.rows
    assert "intermediate 1" not in plan_recipe(read_recipe(DEMO, [*common, said])).models


def test_without_the_tasks_files_the_recipes_sizes_count(tmp_path: Path) -> None:
    recipe = read_recipe(DEMO, [f"data.folder={tmp_path}", "seeds=[0, 1, 2]", 'data.tasks=["miniature_mood"]'])
    strong = plan_recipe(recipe, tokens_per_row=30).models["strong"]
    assert strong.at_most
    assert strong.costs.rows == 900 + 3 * (1500 + 400)
    assert strong.costs.tokens == 30 * strong.costs.rows


BAD: dict[str, tuple[list[Any], str]] = {
    "no config": (["plan", ".", "--rows", 5, "--tokens-per-row", 9], r"no config\.json there"),
    "no tokenizer": (["plan", "eight", "--rows", "rows.jsonl"], "tokenizer.*: give --tokens-per-row"),
    "no rows": (["plan", "eight"], "no rows: give --rows"),
    "a number without lengths": (["plan", "eight", "--rows", 5], "--rows 5: a number has no texts to count"),
    "negative rows": (["plan", "eight", "--rows", -5, "--tokens-per-row", 9], "--rows -5: give a whole number"),
    "no tokens": (["plan", "eight", "--rows", 5, "--tokens-per-row", 0], "tokens_per_row=0 must be at least 1"),
    "no rate": (["eight", "--flops-per-s", "nan"], "flops_per_s=nan must be a number above 0"),
    "two rates": (["eight", "--flops-per-s", 1, "--tokens-per-s", 1], "two rates for one thing"),
    "an unknown layer": (["eight", "--layers", 40], r"layer 40 is outside 0\.\.32"),
    "a gap beyond the scale": (["eight", "--test-rows", 100, "--gap", 0.9], r"a ceiling of 1\.6: .* lower the gap"),
    "a gap of nothing": (["eight", "--gap", 0.1], "--gap needs --test-rows"),
    "too few test rows": (["eight", "--test-rows", 1], "1 test rows: give at least 10"),
    "a setting for a model": (["eight", "--set", "a=1"], r"--set is for a recipe, and eight is none"),
    "an unknown key": (
        ["plan", DEMO, "--set", "data.n_trian=5"],
        "unknown key 'data.n_trian'; did you mean 'data.n_train'",
    ),
    "an unknown task": (["plan", DEMO, "--set", 'data.tasks=["nil"]'], "task 'nil': no file"),
    "an unknown method": (["plan", DEMO, "--set", 'methods=["nil"]'], "method 'nil'"),
    "an option of models": (["plan", DEMO, "--layers", "all"], "--layers is for a model, and a recipe says it itself"),
    "no files to count in": (["plan", DEMO, "--set", "data.folder=nowhere"], "no text to count: give --tokens-per-row"),
    "more rows than there are": (["plan", DEMO, "--set", "data.n_train=99999"], "rows are asked for, but train has"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_planned_ends_in_one_line(
    case: str, eight: Path, monkeypatch: pytest.MonkeyPatch, fails: Failing
) -> None:
    monkeypatch.chdir(eight.parent)
    (eight.parent / "rows.jsonl").write_text('{"text": "some words"}\n')
    arguments, message = BAD[case]
    if arguments[0] != "plan":
        arguments = ["plan", *arguments, "--rows", 5, "--tokens-per-row", 9]
    assert re.search(message, fails(*arguments))


def test_amounts_are_written_with_three_digits() -> None:
    found = [amount(n, "B") for n in (0, 37, 999, 1000, 9_994, 15_009_849_344, 999_960, 2.5e21)]
    assert found == ["0 B", "37 B", "999 B", "1.00 kB", "9.99 kB", "15.0 GB", "1.00 MB", "2500 EB"]
    assert [duration(s) for s in (0.2, 5, 89, 600, 7200, 1e6)] == [
        *("less than 1 s", "5.00 s", "89.0 s", "10.0 min", "2.00 h", "11.6 days")
    ]
    assert spans([0, 1, 2, 5, 8, 9]) == "0-2, 5, 8-9"


def write_pilot(folder: Path, rows: int = 40, *, baseline: str = "", **changes: Any) -> Path:
    """A run's folder with scores that correlate by .3 within each class, a column replaced or, by None, left out."""
    rng = np.random.default_rng(0)
    truth = np.arange(rows) % 2
    shared = np.sqrt(0.3) * rng.normal(size=rows)
    distances = {"weak": 0.7, "ceiling": 1.7, "student-xent": 1.2, "student-logconf": 1.4, "ceiling-knn": 1.0}
    scores = {
        name: shared + np.sqrt(0.7) * rng.normal(size=rows) + distance * truth for name, distance in distances.items()
    }
    table = pd.DataFrame({"id": [f"r{i}" for i in range(rows)], "group": "", "truth": truth, "student-draws/1": 0.5})
    table = table.assign(**{name: 1 / (1 + np.exp(-z)) for name, z in scores.items()}).assign(**changes)
    (folder / "predictions").mkdir(parents=True)
    dropped = [name for name, values in changes.items() if values is None]
    table.drop(columns=dropped).to_csv(folder / "predictions" / "task-0.csv", index=False)
    if baseline:
        (folder / "run.json").write_text(json.dumps({"recipe": {"baseline": baseline}}))
    return folder


@pytest.fixture
def planning(checkpoint: Callable[..., Path]) -> list[Any]:
    """The cheapest plan that shows intervals: a model of three blocks, which is not timed."""
    return ["plan", checkpoint(), "--rows", 10, "--tokens-per-row", 5, "--test-rows", 1000, "--tokens-per-s", 9]


def intervals(text: str) -> list[list[float]]:
    """Weak, ceiling and gap of each line of the table."""
    return [[float(word) for word in line.split()[:3]] for line in text.splitlines() if re.search(r"\[.*, .*\]", line)]


def test_a_pilot_tells_how_alike_the_scorers_are(
    w2s: Call, planning: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    w2s(*planning, "--pilot", write_pilot(tmp_path / "pilot", 4000))
    text = capsys.readouterr().out
    said = re.search(r"weak and student-xent (\S+), weak and ceiling (\S+), student-xent and ceiling (\S+)\n", text)
    assert said
    assert [float(rho) for rho in said.groups()] == pytest.approx([0.3] * 3, abs=0.03)
    assert "1,000 test rows, as in the pilot" in text
    assert "rows only" in text
    own, *others = intervals(text)
    assert own == pytest.approx([0.690, 0.885, 0.195], abs=0.02)
    assert [line[2] for line in others] == [0.02, 0.05, 0.1, 0.2]


def test_the_student_of_a_pilot_is_its_recipes_baseline(
    w2s: Call, planning: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for baseline, student in (("student-logconf", "student-logconf"), ("student-draws", "student-xent")):
        w2s(*planning, "--pilot", write_pilot(tmp_path / baseline, baseline=baseline), "--gap", 0.1)
        assert f"weak and {student} " in capsys.readouterr().out


def test_a_pilots_own_gap_is_shown_beside_those_that_were_asked_for(
    w2s: Call, planning: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    w2s(*planning, "--pilot", write_pilot(tmp_path / "pilot", 4000), "--gap", 0.1, "--weak", 0.6)
    own, other = intervals(capsys.readouterr().out)
    assert own == pytest.approx([0.690, 0.885, 0.195], abs=0.02)
    assert other == [0.6, 0.7, 0.1]


@pytest.mark.parametrize(
    ("ceiling", "message"), [(-0.1, "leaves nothing to recover"), (10.0, "AUROCs of 0 or 1 have no error")]
)
def test_a_pilot_without_an_interval_of_its_own_says_why(
    ceiling: float,
    message: str,
    w2s: Call,
    planning: list[Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scores = np.random.default_rng(1).random(40) + ceiling * (np.arange(40) % 2)
    w2s(*planning, "--pilot", write_pilot(tmp_path / "pilot", ceiling=scores), "--gap", 0.1)
    text = capsys.readouterr().out
    assert message in text
    assert len(intervals(text)) == 1


def test_a_correlation_is_shown_alone(w2s: Call, planning: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    w2s(*planning, "--correlation", 0.9, "--gap", 0.1)
    assert re.findall(r"ρ = (\S+)", capsys.readouterr().out) == ["0.9"]


REMEDY = ": give another --pilot, or --correlation"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ceiling": None}, r"task-0\.csv: no column 'ceiling'"),
        ({"weak": None}, r"task-0\.csv: no column 'weak'"),
        ({"student-xent": None, "student-logconf": None}, r"task-0\.csv: no column 'student-xent'"),
        ({"truth": 1}, r"task-0\.csv: one class only"),
        ({"weak": "much"}, r"task-0\.csv: column 'weak' holds something that is no number"),
    ],
)
def test_pilots_that_tell_nothing_are_refused(
    changes: dict[str, Any], message: str, fails: Failing, planning: list[Any], tmp_path: Path
) -> None:
    line = fails(*planning, "--pilot", write_pilot(tmp_path / "pilot", **changes))
    assert re.search(message + ".*" + REMEDY, line)


def test_folders_and_options_that_are_no_pilot_are_refused(
    fails: Failing, planning: list[Any], eight: Path, tmp_path: Path
) -> None:
    assert "no predictions/TASK-SEED.csv in it: give the folder" in fails(*planning, "--pilot", tmp_path)
    pilot = write_pilot(tmp_path / "pilot")
    (pilot / "predictions" / "task-0.csv").write_bytes(b"\xff\xfe\x00,\n")
    assert re.search(r"task-0\.csv, line 1: not text in UTF-8.*" + REMEDY, fails(*planning, "--pilot", pilot))
    for value in (1, -0.1, "nan"):
        assert re.search(r"correlation=\S+ must be in \[0, 1\)", fails(*planning, "--correlation", value))
    assert "exclude each other" in fails(*planning, "--correlation", 0.3, "--pilot", pilot)
    assert "--pilot needs --test-rows" in fails("plan", eight, "--rows", 10, "--tokens-per-row", 5, "--pilot", pilot)
