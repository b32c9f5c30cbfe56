"""Stores of other sites, marked positions and conversations: right ones pass, and what was exchanged is said."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from transformers import AutoTokenizer

from extract.examining import Subject, examine
from extract.extractor import Extraction, extract
from extract.models.loading import Placement
from w2s_probes import ActivationStore, InputError
from w2s_probes.io.tables import write_table
from w2s_probes.store.manifest import Manifest

CPU = Placement("cpu")
NUMBER, BEFORE = "regex: 5 w3", "regex: 5(?= w3)"
SITES = ("residual", "attention", "mlp", "logits:w3,w5,w7,w9")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, checkpoint: Callable[..., Path]) -> Path:
    """A folder with a model, texts in each of which a number stands somewhere, and a store of each site."""
    folder = tmp_path_factory.mktemp("marks")
    shutil.copytree(checkpoint(), folder / "model")
    write_table(texts(), folder / "rows.jsonl")
    for site in SITES:
        made(folder, site[:3], site=site)
    return folder


def texts() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    begins = [" ".join(f"w{j}" for j in rng.integers(0, 40, size=rng.integers(4, 20))) for _ in range(24)]
    text = [f"{begin} 5 w3" + " w9" * int(rng.integers(0, 4)) for begin in begins]
    return pd.DataFrame({"id": [f"r{i}" for i in range(24)], "text": text})


def made(place: Path, name: str, rows: pd.DataFrame | None = None, **options: Any) -> ActivationStore:
    plan = Extraction.plan(str(place / "model"), texts() if rows is None else rows, **options)
    return extract(plan, place / name, placement=CPU)


def said_to_be(store: ActivationStore, place: Path, **identity: Any) -> ActivationStore:
    """The same vectors, in a store that says something else of them; with a site of None that of the stream."""
    folder = place / "said" / "-".join([store.path.name, *(str(value)[:12] for value in identity.values())])
    shutil.copytree(store.path, folder)
    manifest = Manifest.read(folder)
    said = {key: value for key, value in (manifest.identity | identity).items() if (key, value) != ("site", None)}
    manifest.model_copy(update={"identity": said}).write(folder)
    return ActivationStore.open(folder)


def found(store: ActivationStore, place: Path, rows: pd.DataFrame | None = None) -> set[str]:
    """What is off in the layers of a store."""
    subject = Subject.of(store, str(place / "model"), texts() if rows is None else rows)
    return {"; ".join(layer.faults) for layer in examine(subject, sample=10, placement=CPU).layers}


def test_right_stores_of_every_site_and_of_marked_positions_pass(place: Path, w2s: Callable[..., None]) -> None:
    for site in SITES:
        assert found(ActivationStore.open(place / site[:3]), place) == {""}
    for name, position, site in (
        ("number", NUMBER, "residual"),
        ("both", NUMBER, "attention"),
        ("every", "all", "mlp"),
        ("said", "mean", SITES[-1]),
    ):
        made(place, name, position=position, site=site)
        w2s("doctor", place / name, "--model", place / "model", "--rows", place / "rows.jsonl", "--sample", "6")


def test_exchanged_sites_and_positions_are_said(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extract.examining.padding.MOST", 2)  # more is not tried here: it takes seconds
    monkeypatch.setattr("extract.examining.padding.ROUND", (32,))
    mlp, stream = ActivationStore.open(place / "mlp"), made(place, "stream", layers=[1, 2, 3])
    assert found(said_to_be(mlp, place, site="attention"), place) == {"site mlp, not attention"}
    assert found(said_to_be(mlp, place, site=None), place) == {"site mlp, not residual"}
    assert found(said_to_be(stream, place, site="mlp"), place) == {"site residual, not mlp"}
    assert found(said_to_be(stream, place, position=NUMBER), place) == {f"position last, not {NUMBER}"}
    before = made(place, "before", position=BEFORE)
    assert found(said_to_be(before, place, position=NUMBER), place) == {f"token 1 before the marked one, not {NUMBER}"}
    (line,) = found(said_to_be(made(place, "late", position=NUMBER, layers=[2]), place, position="last"), place)
    assert line.startswith("other tokens of the rows, not last: token ")
    moved = texts().assign(text="w1 " + texts()["text"])  # causal: other states, and another token's place
    assert any(found(ActivationStore.open(place / "mlp"), place, moved) - {""})


TALKS = [[("user", f"w1 w{n} {n}"), ("assistant", "w5 " * (1 + n % 4)), ("user", f"w2 w{n % 5}")] for n in range(16)]
JINJA = (
    "{% for m in messages %}<s> {{ m['role'] }} {{ m['content'] | trim }} </s> {% endfor %}"
    "{% if add_generation_prompt %}<s> w39{% endif %}"
)


def test_conversations_are_looked_at_as_their_template_writes_them(
    place: Path, tmp_path: Path, w2s: Callable[..., None], fails: Callable[..., str]
) -> None:
    shutil.copytree(place / "model", tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    tokenizer.chat_template = JINJA
    tokenizer.save_pretrained(tmp_path / "model")
    talks = [[{"role": role, "content": said} for role, said in talk] for talk in TALKS]
    lines = [{"id": f"t{n}", "messages": talk} for n, talk in enumerate(talks)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows: list[Any] = ["--rows", tmp_path / "rows.jsonl"]
    w2s("extract", tmp_path / "model", *rows, "--out", tmp_path / "acts", "--position", "answer")
    w2s("doctor", tmp_path / "acts", "--model", tmp_path / "model", *rows)
    w2s("doctor", tmp_path / "model", *rows)  # and a model on conversations
    table = pd.DataFrame({"id": [f"t{n}" for n in range(16)], "messages": pd.Series(talks, dtype=object)})
    asked = made(tmp_path, "asked", table, position="mean", layers=[2, 3])
    assert found(asked, tmp_path, table) == {""}
    (tmp_path / "template.jinja").write_text(JINJA.partition("{% if")[0])
    template = str(tmp_path / "template.jinja")
    unasked = made(tmp_path, "unasked", table, position="mean", chat_template=template, layers=[2, 3])
    here = {key: asked.manifest.identity[key] for key in ("template", "rendering")}
    (line,) = found(said_to_be(unasked, tmp_path, **here), tmp_path, table)
    assert line.startswith("other tokens: without the prompt for an answer (")
    bare = pd.DataFrame({"id": table["id"], "text": "w1 w2"})
    with pytest.raises(InputError, match="asked: holds conversations, and the rows are texts: give those that it"):
        found(asked, tmp_path, bare)
