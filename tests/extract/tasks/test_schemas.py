"""Every task file against made-up rows in the fields, folders and splits that its dataset has on the hub."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pandas as pd
import pytest

from extract.tasks import TASKS, load_task

COMMIT = "89abcdef0123456789abcdef0123456789abcdef"
CONVERTED = "{config}/{split}/0000.parquet"
UPLOADED = "{config}/{split}-00000-of-00001.parquet"
Record = Callable[[int], dict[str, Any]]


def labelled(*fields: str, label: str = "label", values: tuple[Any, ...] = (0, 1)) -> Record:
    return lambda i: {**{name: f"{name} {i}" for name in fields}, label: values[i % len(values)]}


def asked(*fields: str, choices: list[str], answer: str, values: tuple[Any, ...]) -> Record:
    """Questions whose choices are fields of their own."""
    return lambda i: {**{name: f"{name} {i}" for name in [*fields, *choices]}, answer: values[i % len(values)]}


def listed(i: int, n: int) -> list[str]:
    return [f"choice {i} {at}" for at in range(n)]


def letters(stem: str, more: str, n: int) -> Record:
    return lambda i: {
        stem: f"stem {i}",
        more: f"more {i}",
        "choices": {"text": listed(i, n), "label": list("ABCD"[:n])},
        "answerKey": "ABCD"[i % n],
    }


def dialogue(i: int) -> dict[str, Any]:
    start = f"\n\nHuman: hello {i}\n\nAssistant: Oh?\n\nHuman: Yes.\n\nAssistant: "
    return {"chosen": f"{start}Fine {i}.", "rejected": f"{start}Go away, {i}."}


SCIQ = asked("question", "support", choices=["correct_answer", "distractor1", "distractor2", "distractor3"],
             answer="unused", values=(0,))  # fmt: skip
ETHICS = "hendrycks/ethics"
# Dataset, folder of the configuration, layout, the splits that serve as train and as test, a record.
HUB: dict[str, tuple[str, str, str, str, str, Record]] = {
    "anli_r2": ("facebook/anli", "plain_text", UPLOADED, "train_r2", "test_r2",
                labelled("uid", "premise", "hypothesis", "reason", values=(0, 1, 2))),
    "cola": ("nyu-mll/glue", "cola", UPLOADED, "train", "validation", labelled("sentence")),
    "dream": ("dataset-org/dream", "plain_text", CONVERTED, "train", "test",
              lambda i: {"dialogue": [f"M: {i}", "W: no"], "question": "Why?", "choice": listed(i, 3),
                         "answer": listed(i, 3)[i % 3]}),
    "ethics_deontology": (ETHICS, "deontology", CONVERTED, "train", "test", labelled("scenario", "excuse")),
    "ethics_justice": (ETHICS, "justice", CONVERTED, "train", "test", labelled("scenario")),
    "ethics_virtue": (ETHICS, "virtue", CONVERTED, "train", "test", labelled("scenario")),
    "ethics_utilitarianism": (ETHICS, "utilitarianism", CONVERTED, "train", "test",
                              lambda i: {"baseline": f"nice {i}", "less_pleasant": f"vile {i}"}),
    "mc_taco": ("CogComp/mc_taco", "plain_text", CONVERTED, "test", "validation",
                labelled("sentence", "question", "answer")),
    "hellaswag": ("Rowan/hellaswag", "default", CONVERTED, "train", "validation",
                  lambda i: {"ctx": f"Then {i}", "endings": listed(i, 4), "label": str(i % 4)}),
    "multirc": ("aps/super_glue", "multirc", UPLOADED, "train", "validation",
                labelled("paragraph", "question", "answer")),
    "openbookqa": ("allenai/openbookqa", "main", UPLOADED, "train", "test", letters("question_stem", "id", 4)),
    "paws": ("google-research-datasets/paws", "labeled_final", UPLOADED, "train", "test",
             labelled("sentence1", "sentence2")),
    "piqa": ("ybisk/piqa", "plain_text", CONVERTED, "train", "validation",
             asked("goal", choices=["sol1", "sol2"], answer="label", values=(0, 1))),
    "quail": ("textmachinelab/quail", "quail", CONVERTED, "train", "validation",
              lambda i: {"context": f"Text {i}", "question": "Why?", "answers": listed(i, 4),
                         "correct_answer_id": i % 4}),
    "quartz": ("allenai/quartz", "data", UPLOADED, "train", "test",
               lambda i: {**letters("question", "para", 2)(i)}),
    "social_i_qa": ("allenai/social_i_qa", "default", CONVERTED, "train", "validation",
                    asked("context", "question", choices=["answerA", "answerB", "answerC"], answer="label",
                          values=("1", "2", "3"))),
    "sst2": ("stanfordnlp/sst2", "data", UPLOADED, "train", "validation", labelled("sentence")),
    "wic": ("aps/super_glue", "wic", UPLOADED, "train", "validation", labelled("word", "sentence1", "sentence2")),
    "twitter_sentiment": ("EleutherAI/twitter-sentiment", "data", UPLOADED, "train", "test", labelled("text")),
    "sciq": ("allenai/sciq", "data", UPLOADED, "train validation", "test", SCIQ),
    "sciq_with_support": ("allenai/sciq", "data", UPLOADED, "train validation", "test", SCIQ),
    "anthropic_hh": ("Anthropic/hh-rlhf", "default", CONVERTED, "train", "test", dialogue),
    "anthropic_hh_harmless": ("Anthropic/hh-rlhf", "harmless-base", "{config}/{split}.jsonl.gz", "train", "test",
                              dialogue),
    "cosmos_qa": ("allenai/cosmos_qa", "default", CONVERTED, "train", "validation",
                  asked("context", "question", choices=[f"answer{i}" for i in range(4)], answer="label",
                        values=(0, 1, 2, 3))),
    "boolq": ("google/boolq", "data", UPLOADED, "train", "validation",
              labelled("passage", "question", label="answer", values=(False, True))),
    "amazon_polarity": ("fancyzhx/amazon_polarity", "amazon_polarity", UPLOADED, "train", "test",
                        labelled("title", "content")),
    "chess_themes": ("Lichess/chess-puzzles", "data", UPLOADED, "train", "",
                     labelled("FEN", label="Themes", values=(["mate", "mateIn2"], ["long", "crushing"]))),
    "creak": ("amydeng2000/CREAK", "default", CONVERTED, "train", "validation",
              labelled("sentence", "entity", "explanation", values=("true", "false"))),
    "clinc_oos": ("clinc/clinc_oos", "plus", UPLOADED, "test", "train",
                  labelled("text", label="intent", values=(42, 7))),
    "cad_imdb": ("tasksource/counterfactually-augmented-imdb", "default", CONVERTED, "train", "test",
                 labelled("Text", label="Sentiment", values=("Positive", "Negative"))),
}  # fmt: skip


def test_every_task_of_the_hub_is_here() -> None:
    assert set(HUB) == {path.stem for path in TASKS.glob("*.toml") if not path.stem.startswith("miniature_")}


@pytest.mark.parametrize("name", HUB)
def test_the_task_reads_the_datasets_own_fields_and_splits(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, config, layout, train, test, record = HUB[name]
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / f"datasets--{dataset.replace('/', '--')}"
    revision = repository / "refs" / ("refs/convert/parquet" if layout == CONVERTED else "main")
    revision.parent.mkdir(parents=True)
    revision.write_text(COMMIT)
    pool = 10100 if name == "chess_themes" else 3100 if name.startswith("sciq") else 0
    sizes = dict.fromkeys(train.split(), pool // 2 or 80) | dict.fromkeys(test.split(), pool // 4 or 40)
    sizes = dict.fromkeys(train.split(), pool) if name == "chess_themes" else sizes
    start = 0
    for split, n in sizes.items():
        path = repository / "snapshots" / COMMIT / layout.format(config=config, split=split)
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pd.DataFrame([record(i) for i in range(start, start + n)])
        start += n
        table.to_parquet(path) if path.suffix == ".parquet" else table.to_json(path, orient="records", lines=True)
    loaded = load_task(name, None)
    assert loaded.source == f"hub:{dataset}@{COMMIT}"
    n_test = {"chess_themes": 10000, "sciq": 3000, "sciq_with_support": 3000}.get(name, 40)
    assert (len(loaded.train), len(loaded.test)) == (start - n_test, n_test)
    assert 0.2 < loaded.test["label"].mean() < 0.8
    assert (loaded.candidates is None) == (loaded.task.label is not None)
    assert not loaded.test["text"].str.contains("{", regex=False).any()
    if not pool:
        texts = set(loaded.test["text"])
        numbers = {str(i) for i in range(80, 120)}
        assert all(any(f"{n}" in text for n in numbers) for text in texts)  # the rows of the test split
