"""Conversations as rows: what is read is what the tokenizer's own template writes, and every message is in it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from extract.encoding import Encoding
from extract.extractor import Extraction
from extract.models.loading import Placement
from extract.models.source import ModelSource
from extract.named_positions import extract_positions, plan_positions
from extract.row_files import read_rows
from w2s_probes import ActivationStore, InputError
from w2s_probes.io.tables import write_table
from w2s_probes.rows.conversations import as_one_text, conversation_of
from w2s_probes.rows.ids import with_ids

CPU = Placement("cpu")
JINJA = (
    "{% for m in messages %}<s> {{ m['role'] }} w39 {{ m['content'] | trim }} </s> {% endfor %}"
    "{% if add_generation_prompt %}<s> assistant{% endif %}"
)
TALKS = [
    [("system", "w0 w1"), ("user", "w2 w3 w4"), ("assistant", "w5 w6"), ("user", "w7")],
    [("user", "w3 w3"), ("assistant", "w39 w8 w9 ")],
    [("user", " w1 w2"), ("assistant", "w5"), ("user", "w6 w7"), ("assistant", "w1 w10")],
]


def as_json(talk: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"role": role, "content": said} for role, said in talk]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, checkpoint: Callable[..., Path]) -> Path:
    """A folder with a model whose tokenizer has a chat template, one without, and conversations with labels."""
    folder = tmp_path_factory.mktemp("talks")
    shutil.copytree(checkpoint(), folder / "plain")
    shutil.copytree(checkpoint(), folder / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    tokenizer.chat_template = JINJA
    tokenizer.save_pretrained(folder / "model")
    lines = [{"id": f"t{n}", "messages": as_json(talk), "label": n % 2} for n, talk in enumerate(TALKS)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def own_tokens(place: Path, talk: list[tuple[str, str]]) -> list[int]:
    """By transformers alone: the prompt for an answer follows unless the talk ends in one."""
    tokenizer = AutoTokenizer.from_pretrained(place / "model")
    asks = talk[-1][0] != "assistant"
    text = tokenizer.apply_chat_template(as_json(talk), tokenize=False, add_generation_prompt=asks)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def states(place: Path, tokens: list[int], at: int) -> np.ndarray:
    model = AutoModel.from_pretrained(place / "model").eval()
    with torch.no_grad():
        found = model(input_ids=torch.tensor([tokens]), output_hidden_states=True).hidden_states
    return np.asarray(found[2][0, at])


def test_conversations_are_read_as_their_template_writes_them(place: Path, tmp_path: Path) -> None:
    rows = read_rows(place / "rows.jsonl", conversations=True)
    named = {"end": "last", "asked": "role:user", "answer": "answer", "word": "regex:w[0-9]+"}
    plans = plan_positions(str(place / "model"), rows, named, layers=2)
    stores = extract_positions(plans, tmp_path / "acts", placement=CPU)
    # Counted by hand in <s> role w39 … </s>: each message has three tokens before what it says, and one after.
    asked, answers, words = [22, 4, 15], [16, 9, 20], [22, 11, 21]
    for row, talk in enumerate(TALKS):
        tokens = own_tokens(place, talk)
        wanted = {"end": len(tokens) - 1, "asked": asked[row], "answer": answers[row], "word": words[row]}
        for name, at in wanted.items():
            store = stores[name]
            assert store is not None
            np.testing.assert_allclose(store.layer(2)[row], states(place, tokens, at), atol=1e-5)
    manifest = ActivationStore.open(tmp_path / "acts" / "end").manifest
    assert manifest.identity["conversations"] is True
    assert manifest.identity["template"] == JINJA


def test_the_tokens_that_are_counted_by_hand(place: Path) -> None:
    words = {n: f"w{n - 4}" for n in range(4, 44)}
    tokens = [words.get(token, "-") for token in own_tokens(place, TALKS[1])]
    assert tokens == ["-", "-", "w39", "w3", "w3", "-", "-", "-", "w39", "w39", "w8", "w9", "-"]


def test_a_conversation_is_its_messages_however_a_file_spells_them(place: Path, tmp_path: Path) -> None:
    table = pd.read_json(place / "rows.jsonl", lines=True)
    write_table(table[["id", "messages"]], tmp_path / "rows.parquet")
    keys = {
        Extraction.plan(str(place / "model"), read_rows(file, conversations=True)).key
        for file in (place / "rows.jsonl", tmp_path / "rows.parquet")
    }
    assert len(keys) == 1
    rows = read_rows(place / "rows.jsonl", conversations=True)
    as_texts = rows[["id", "text"]]  # the same hash of rows, and other tokens
    assert Extraction.plan(str(place / "model"), as_texts, chat_template="own").key not in keys
    bare = with_ids(table[["messages", "label"]], "labels")
    assert bare["id"].tolist() == with_ids(rows[["text"]], "rows")["id"].tolist()
    assert conversation_of(json.loads(as_one_text(tuple(TALKS[0]))), "x") == tuple(TALKS[0])


def test_labels_of_conversations_are_joined_as_others_are(
    place: Path, tmp_path: Path, w2s: Callable[..., None], fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("W2S_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    talks = [[("user", " ".join(f"w{j}" for j in rng.integers(0, 40, 5))), ("assistant", f"w{n}")] for n in range(30)]
    lines = [{"messages": as_json(talk), "label": n % 2} for n, talk in enumerate(talks)]  # without ids
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    w2s("extract", place / "model", "--rows", tmp_path / "rows.jsonl", "--layers", "2", "--out", tmp_path / "acts")
    sweep = ["sweep", tmp_path / "acts", tmp_path / "rows.jsonl", "--knn-k", "3"]
    w2s(*sweep, "--out", tmp_path / "sweep.csv")
    assert len(pd.read_csv(tmp_path / "sweep.csv"))
    # A head that was fitted to them scores new ones, and one that reads the model's own activations learns the same.
    student = ["student", "--layer", "2", "--out"]
    w2s(*student, tmp_path / "head", tmp_path / "acts", tmp_path / "rows.jsonl")
    w2s(*student, tmp_path / "own", "--model", place / "model", tmp_path / "rows.jsonl")
    for name in ("head", "own"):
        w2s("predict", tmp_path / name, "--rows", tmp_path / "rows.jsonl", "--out", tmp_path / f"{name}.jsonl")
    w2s(
        *("predict", tmp_path / "head", "--rows", tmp_path / "rows.jsonl", "--store", tmp_path / "acts"),
        *("--out", tmp_path / "stored.jsonl"),
    )
    head, own, stored = (pd.read_json(tmp_path / f"{n}.jsonl", lines=True)["label"] for n in ("head", "own", "stored"))
    np.testing.assert_allclose(head, stored, atol=1e-5)
    np.testing.assert_allclose(own, stored, atol=1e-5)
    line = fails(
        "student", "--kind", "lora", "--model", place / "model", tmp_path / "rows.jsonl", "--out", tmp_path / "o"
    )
    assert "no field 'text', which a fine-tuned student learns from: its rows are conversations: give it" in line


BAD: dict[str, tuple[Any, str]] = {
    "no messages": ([], "row 't': its messages are empty: give a list of objects with `role` and `content`"),
    "nothing": (None, "row 't': its messages are missing"),
    "a text": ("hello", "row 't': its messages are a text that is no JSON"),
    "a bare text": ([{"role": "user", "content": "w1"}, "w2"], "row 't': message 2 is a str, not an object"),
    "another role": (
        [{"role": "human", "content": "w1"}],
        "row 't': message 1 has role 'human': known: assistant",
    ),
    "no role": ([{"content": "w1"}], "row 't': message 1 has role 'None'"),
    "an empty one": ([{"role": "user", "content": " "}], "row 't': message 1 is empty: drop it"),
    "parts": ([{"role": "user", "content": [{"type": "text", "text": "w1"}]}], "message 1 has a list as content"),
    "none": ([{"role": "assistant", "content": None}], "message 1 has nothing as content"),
    "a call": (
        [{"role": "assistant", "content": "w1", "tool_calls": [{"id": 1}]}],
        "message 1 has 'tool_calls',",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_messages_that_cannot_be_read_are_refused_by_row_and_number(place: Path, name: str) -> None:
    messages, said = BAD[name]
    rows = pd.DataFrame({"id": ["s", "t"], "messages": pd.Series([as_json(TALKS[0]), messages], dtype=object)})
    with pytest.raises(InputError, match=said.replace("(", r"\(")):
        Extraction.plan(str(place / "model"), rows)


TEMPLATES = {
    "{% for m in messages if m.role != 'system' %}{{ m.content }} {% endfor %}": "leaves out what system says",
    "{% for m in messages %}{{ m.content }} {{ m.content }} {% endfor %}": "writes twice what system says",
    "{% for m in messages %}{{ m.content.split('w5')[-1] }} {% endfor %}": "does not write message 3, of role",
    "{{ messages | map(attribute='content') | join(' ') | replace('w7', 'w8') }}": "does not write message 4, of role",
    "{% for m in messages %}{{ m.content }} {% endfor %}{{ 'w1' if 'w7' in messages[-1].content }}": "writes more than",
}


@pytest.mark.parametrize("jinja", TEMPLATES)
def test_a_template_that_loses_or_changes_a_message_is_refused(place: Path, tmp_path: Path, jinja: str) -> None:
    (tmp_path / "t.jinja").write_text(jinja)
    rows = pd.DataFrame({"id": ["t"], "messages": pd.Series([as_json(TALKS[0])], dtype=object)})
    plan = Extraction.plan(str(place / "model"), rows, chat_template=str(tmp_path / "t.jinja"))
    with pytest.raises(InputError, match=f"row 't': the chat template {TEMPLATES[jinja]}"):
        plan.run(tmp_path / "acts", placement=CPU)
    assert not (tmp_path / "acts").exists()


def test_what_has_no_place_for_conversations_says_so(place: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    rows: list[Any] = ["--rows", place / "rows.jsonl"]
    out = ["--out", tmp_path / "o"]
    assert "its tokenizer has no chat template: give --chat-template FILE" in fails(
        "extract", place / "plain", *rows, *out
    )
    said = "its rows are conversations, and here texts are read"
    assert said in fails("ask", place / "model", *rows, "--out", tmp_path / "asked.jsonl")
    both = pd.DataFrame({"id": ["t"], "text": ["w1"], "messages": pd.Series([as_json(TALKS[0])], dtype=object)})
    with pytest.raises(InputError, match="rows: has both 'text' and 'messages', and one of them is read"):
        Extraction.plan(str(place / "model"), both)
    table = pd.DataFrame({"id": ["t"], "messages": pd.Series([as_json(TALKS[0])], dtype=object), "span": ["w3"]})
    spans = Extraction.plan(str(place / "model"), table, position="span")
    assert spans.marks == [(42, 44)]
    with pytest.raises(InputError, match="row 't': a conversation has no characters to count"):
        numbers = table.assign(span=pd.Series([[0, 2]], dtype=object))
        Extraction.plan(str(place / "model"), numbers, position="span")
    with pytest.raises(InputError, match="row 't': its span 'w' stands in its messages 8 times: give a longer piece"):
        Extraction.plan(str(place / "model"), table.assign(span=["w"]), position="span")
    with pytest.raises(InputError, match=r"position 'role:tool' is nowhere in 1 of 1 rows \('t'\)"):
        Extraction.plan(str(place / "model"), table, position="role:tool")


def test_a_span_of_a_text_is_found_in_what_a_template_makes_of_it(place: Path) -> None:
    source = ModelSource.find(str(place / "model"))
    encoding = Encoding.plan(source, None, "right", "own")
    rows = pd.DataFrame({"id": ["a"], "text": ["w1 w2 w3"], "span": pd.Series([[3, 5]], dtype=object)})
    plan = Extraction.plan(source, rows, position="span", chat_template="own")
    assert plan.marks is not None
    text = encoding.rendered(source.tokenizer, rows)[0].text
    assert [text[begin:end] for begin, end in plan.marks] == ["w2"]
    found = encoding.encode_rows(source.tokenizer, plan.rows, [plan.marks])
    assert found.at is not None
    assert source.tokenizer.convert_ids_to_tokens(int(found.rows[0][found.at[0, 0]])) == "w2"
