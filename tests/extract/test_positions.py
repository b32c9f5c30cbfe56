"""Marked positions: the tokens that the tokenizer itself names for a character, read by transformers itself."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast

from extract import extractor
from extract.adding import add
from extract.encoding import Encoding
from extract.extractor import Extraction
from extract.marking import CutOff
from extract.models.loading import Placement
from extract.models.source import ModelSource
from extract.named_positions import extract_positions, plan_positions
from extract.planned_rows import rows_at
from extract.positions import MARK, Mark, mark_of, named_positions
from extract.rendering import Rendered
from extract.repair import repair
from tests.conftest import shard_file
from w2s_probes import ActivationStore, InputError
from w2s_probes.io.tables import write_table

Checkpoint = Callable[..., Path]
CPU = Placement("cpu", batch_tokens=40)
TEXTS = ("w1 w2 <b>w3 w4</b> w5", "w6 1873 w7 1912 w8", "w9 20 w1 1 w2 w3 w4", "w2 w1 w1 5 w0")
SPANS: list[Any] = [[6, 14], "1912", [0, 2], "5"]
PROSE = (
    "Is it so? Naïve cafés in Zürich, 1873: «ja» — 東京 and 🦔🦔 hedgehogs.  Two  spaces\n\nand a line.",
    "A b c. " * 9,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, checkpoint: Checkpoint) -> Path:
    folder = tmp_path_factory.mktemp("positions")
    shutil.copytree(checkpoint(), folder / "model")
    write_table(table(), folder / "rows.jsonl")
    return folder


def table() -> pd.DataFrame:
    return pd.DataFrame({"id": ["a", "b", "c", "d"], "text": TEXTS, "span": SPANS})


def states(place: Path, text: str, token: int) -> np.ndarray:
    """Every layer of one token, by transformers itself, the row alone; but the last, which is after the norm."""
    model, tokenizer = AutoModel.from_pretrained(place / "model").eval(), AutoTokenizer.from_pretrained(place / "model")
    with torch.no_grad():
        found = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
    return torch.stack([state[0, token] for state in found[:-1]]).numpy()


WANTED: dict[str, list[Any]] = {  # the characters whose tokens are to be read, in each text
    "span": [13, 14, 1, 9],
    r"regex:\b[0-9]+\b": [None, 14, 9, 9],
    "regex:w[0-9]": [20, 17, 18, 12],
    "first": [0, 0, 0, 0],
}


def tokens_of(place: Path, characters: list[Any]) -> list[int]:
    tokenizer = AutoTokenizer.from_pretrained(place / "model")
    pairs = zip(TEXTS, characters, strict=True)
    return [tokenizer(text).char_to_token(at) for text, at in pairs if at is not None]


def test_stores_hold_the_tokens_of_the_marked_characters(place: Path, tmp_path: Path) -> None:
    for position, characters in WANTED.items():
        rows = table()[[at is not None for at in characters]].reset_index(drop=True)
        plan = Extraction.plan(str(place / "model"), rows, position=position, layers=[0, 1, 2])
        store = plan.run(tmp_path / str(len(position)), placement=CPU)
        assert store is not None
        for row, token in enumerate(tokens_of(place, characters)):
            expected = states(place, rows["text"][row], token)
            np.testing.assert_allclose([store.layer(layer)[row] for layer in (0, 1, 2)], expected, atol=1e-5)


def test_several_positions_are_the_stores_that_each_would_be_alone(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extractor, "SHARD_ROWS", 2)
    named = {"end": "last", "word": "regex:w[0-9]", "all-of-it": "mean", "mark": "span"}
    for site in ("mlp", "logits:w1,w5"):
        plans = plan_positions(str(place / "model"), table(), named, site=site)
        stores = extract_positions(plans, tmp_path / site[:3], placement=CPU)
        for name, position in named.items():
            alone = Extraction.plan(str(place / "model"), table(), position=position, site=site)
            one, store = alone.run(tmp_path / f"{site[:3]}-{name}", placement=CPU), stores[name]
            assert one is not None
            assert store is not None
            assert one.key == store.key
            assert store.path == tmp_path / site[:3] / name
            for layer in one.layers:
                np.testing.assert_allclose(store.layer(layer), one.layer(layer), atol=1e-6)
    with pytest.raises(
        InputError, match=r"but it holds the stores 'all-of-it', 'end', 'mark', 'word': name one, such as"
    ):
        ActivationStore.open(tmp_path / "mlp")
    with pytest.raises(InputError, match="end: is a store of one position: give another --out for several"):
        extract_positions(plans, tmp_path / "mlp" / "end", placement=CPU)


def test_other_positions_and_spans_are_other_stores_that_are_added_to_and_repaired(place: Path, tmp_path: Path) -> None:
    notes = {"rows_from": [str(place / "rows.jsonl")]}

    def plan(rows: pd.DataFrame, position: str) -> Extraction:
        return Extraction.plan(str(place / "model"), rows, position=position, layers=[2])

    first = plan(table()[:2], "span")
    first.run(tmp_path / "acts", placement=CPU, notes=notes)
    moved = table()[:2].assign(span=pd.Series([[6, 11], "1912"], dtype=object))
    assert plan(moved, "span").key != first.key != plan(table()[:2], "span:span").key
    for other in (plan(moved, "span"), plan(table()[:2], "regex:1912|w4")):
        with pytest.raises(InputError, match="holds other activations"):
            other.run(tmp_path / "acts", placement=CPU)
    with pytest.raises(InputError, match="texts of its rows have changed"):
        changed = pd.Series([[6, 11], *SPANS[1:]], dtype=object)
        add(plan(table().assign(span=changed), "span"), tmp_path / "acts", placement=CPU)
    added = add(plan(table(), "span"), tmp_path / "acts", placement=CPU, notes=notes)
    whole = plan(table(), "span").run(tmp_path / "whole", placement=CPU)
    assert added is not None
    assert whole is not None
    assert added.key == whole.key
    np.testing.assert_allclose(added.layer(2), whole.layer(2), atol=1e-6)
    file = shard_file(tmp_path / "acts")
    before = file.read_bytes()
    file.unlink()
    repair(tmp_path / "acts", placement=Placement("cpu"))
    assert shard_file(tmp_path / "acts").read_bytes() == before


def fast(kind: str) -> Any:
    """A tokenizer of its own kind, taught on the prose: pieces of bytes, of small words, of words with spaces."""
    if kind == "bytes":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer: Any = trainers.BpeTrainer(vocab_size=320, initial_alphabet=alphabet, special_tokens=["<s>", "</s>"])
    elif kind == "word pieces":
        tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=120, special_tokens=["<unk>", "<s>", "</s>"])
    else:
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=90, unk_token="<unk>", special_tokens=["<unk>", "<s>", "</s>"])
    tokenizer.train_from_iterator(PROSE, trainer)
    ends = [("<s>", tokenizer.token_to_id("<s>")), ("</s>", tokenizer.token_to_id("</s>"))]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


@pytest.mark.parametrize("kind", ["bytes", "word pieces", "words with spaces"])
def test_every_span_of_every_kind_of_tokenizer_ends_at_the_token_of_its_last_character(kind: str) -> None:
    tokenizer, text = fast(kind), PROSE[0]
    whole = tokenizer(text)
    ends = [end for end in range(1, len(text) + 1) if not text[end - 1].isspace()]
    rows = pd.DataFrame({"id": [str(end) for end in ends], "text": [text] * len(ends)})
    for truncation, limit in (("right", None), ("right", 20), ("left", 20)):
        encoding = Encoding(limit, truncation, None)  # type: ignore[arg-type]
        cut = 0 if limit is None else len(whole["input_ids"]) - limit
        for at, end in zip(range(len(ends)), ends, strict=True):
            last = max(token for token in range(len(whole["input_ids"])) if _holds(whole, token, end - 1))
            expected = last - (cut if truncation == "left" else 0)
            read = range(1, (limit or len(whole["input_ids"])) - 1)
            row = rows.iloc[at : at + 1]
            if expected in read:
                found = encoding.encode_rows(tokenizer, row, [[(max(0, end - 3), end)]])
                assert found.at is not None
                assert found.at[0, 0] == expected
                assert found.rows[0][expected] == whole["input_ids"][last]
            else:
                with pytest.raises(CutOff, match=rf"cut off in 1 rows \('{end}'\), of which 20 tokens are read"):
                    encoding.encode_rows(tokenizer, row, [[(max(0, end - 3), end)]])


def test_a_character_of_several_tokens_is_never_marked_by_the_wrong_one_of_them() -> None:
    """Its first stands for an answer, its last for a span; a row that is cut between them is refused."""
    tokenizer, text = fast("bytes"), "A b 龘"
    whole = tokenizer(text)
    pieces = [token for token in range(len(whole["input_ids"])) if _holds(whole, token, 4)]
    assert len(pieces) > 1
    row, last = pd.DataFrame({"id": ["r"], "text": [text]}), [[(4, 5)]]
    mark = Mark("answer").find(Rendered(text, ((4, 5),), ("assistant",), conversation=True), None, "row 'r'")
    assert mark is not None
    whole_row = Encoding(None, "right", None).encode_rows(tokenizer, row, [[mark], *last])
    assert whole_row.at is not None
    assert whole_row.at.tolist() == [[pieces[0], pieces[-1]]]
    for side, marks, limit in (
        ("right", last, pieces[-1] + 1),  # begin, what is read, and the end, in the place of the last piece
        ("left", [[mark]], len(pieces) + 1),  # without its first piece
    ):
        with pytest.raises(CutOff, match=r"cut off in 1 rows \('r'\)"):
            Encoding(limit, side, None).encode_rows(tokenizer, row, marks)  # type: ignore[arg-type]
        assert Encoding(limit + 1, side, None).encode_rows(tokenizer, row, marks).at is not None  # type: ignore[arg-type]


def test_spans_are_of_the_rows_own_text_where_a_template_strips_it(place: Path, tmp_path: Path) -> None:
    """A piece of the text, too, and one that is stripped away is nowhere."""
    jinja = tmp_path / "t.jinja"
    source = ModelSource.find(str(place / "model"))
    text = " \n w1 w2 w3 \n"
    marked: dict[Any, str | None] = {(3, 5): "w1", (6, 8): "w2", (0, 13): "w1 w2 w3", (0, 4): "w", (9, 12): "w3"}
    marked |= {" w2": " w2", "\n w1": "w1", " w1": "w1", (0, 3): None, (1, 2): None, (11, 13): None, " \n ": None}
    for strip in ("", " | trim", ".lstrip()", ".rstrip()"):
        content = f"m['content']{strip}" if strip.startswith(".") else f"(m['content']{strip})"
        jinja.write_text("{% for m in messages %}<s> w9  {{ " + content + " }}</s>{% endfor %}")
        encoding = Encoding.plan(source, None, "right", str(jinja))
        for span, said in marked.items():
            given = list(span) if isinstance(span, tuple) else span
            rows = pd.DataFrame({"id": ["x"], "text": [text], "span": pd.Series([given], dtype=object)})
            if said is None:
                with pytest.raises(InputError, match=r"position 'span' is nowhere in 1 of 1 rows \('x'\)"):
                    rows_at(rows, ["span"], source, encoding)
                continue
            (table,), _ = rows_at(rows, ["span"], source, encoding)
            ((begin, end),) = table[MARK]
            read = encoding.rendered(source.tokenizer, table)[0].text
            assert read[begin:end].strip() == said.strip()
            own_end = len(text[: span[1]].rstrip()) if isinstance(span, tuple) else text.index(span) + len(span)
            assert end == read.index("w1 w2 w3") - 3 + own_end
        talk = pd.Series([(("user", text), ("assistant", "  w1 w2"))], dtype=object)
        rows = pd.DataFrame({"id": ["x"], "text": ["t"], "messages": talk, "span": ["  w1"]})
        (table,), _ = rows_at(rows, ["span"], source, encoding)
        ((_, end),) = table[MARK]
        assert encoding.rendered(source.tokenizer, table)[0].text[:end].count("w1") == 2
        for there in (rows.assign(span=" w1"), rows.assign(span="w1 w2", messages=talk)):
            with pytest.raises(InputError, match="stands in its messages 2 times"):
                rows_at(there, ["span"], source, encoding)
        outside = pd.DataFrame({"id": ["x"], "text": [text], "span": pd.Series([[6, 14]], dtype=object)})
        with pytest.raises(InputError, match=r"its span \[6, 14\] is not in its text, which has 13 characters"):
            rows_at(outside, ["span"], source, encoding)


def _holds(encoded: Any, token: int, character: int) -> bool:
    span = encoded.token_to_chars(token)
    return span is not None and span.start <= character < span.end


def test_names_of_positions_are_checked() -> None:
    said = {
        "lst": "did you mean 'last'",
        "regex:": "give it as regex:PATTERN",
        "regex:(": r"not a regular expression \(missing \)",
        "role": "give it as role:ROLE",
        "span:": "give it as span or span:FIELD",
        "answer:x": "give it as answer",
    }
    for position, line in said.items():
        with pytest.raises(InputError, match=line):
            mark_of(position)
    for given, line in {
        ("a=last", "last"): "--position last: several are stored, so give each a name: NAME=last",
        ("a=last", "a=mean"): "two have one name",
        ("a=all", "b=last"): "every token is a store of its own kind",
        ("a=lost", "b=last"): "did you mean",
    }.items():
        with pytest.raises(InputError, match=line):
            named_positions(given)
    assert named_positions(["regex:a=b"]) == {"": "regex:a=b"}


@pytest.mark.parametrize(
    ("position", "spans", "said"),
    [
        (
            "regex:[0-9]{4}",
            SPANS,
            r"position 'regex:\[0-9\]\{4\}' is nowhere in 3 of 4 rows \('a', 'c', 'd'\): mend or drop",
        ),
        ("regex:xyz", SPANS, r"is nowhere in 4 of 4 rows .*: check it"),
        ("span", [[6, 14], "none", None, " "], r"position 'span' is nowhere in 3 of 4 rows \('b', 'c', 'd'\)"),
        ("span", [[6, 14], "w", [0, 2], "5"], "row 'b': its span 'w' stands in its text 3 times: give .start, end."),
        ("span", [[6, 99], *SPANS[1:]], r"row 'a': its span \[6, 99\] is not in its text, which has 21 characters"),
        ("span", [[4, 4], *SPANS[1:]], r"row 'a': its span \[4, 4\] is not in its text"),
        ("span", [[1.5, 4], *SPANS[1:]], r"row 'a': its span '\[1.5, 4\]' is neither a piece of its text nor"),
        ("span:mark", SPANS, "position span: the rows have no field 'mark'"),
        ("role:user", SPANS, "position role: is of conversations: give rows with `messages`"),
    ],
)
def test_rows_without_the_position_are_refused_by_id(place: Path, position: str, spans: list[Any], said: str) -> None:
    rows = table().assign(span=pd.Series(spans, dtype=object))
    with pytest.raises(InputError, match=said):
        Extraction.plan(str(place / "model"), rows, position=position)


def test_of_several_positions_those_that_are_nowhere_are_named_with_their_rows(place: Path, tmp_path: Path) -> None:
    positions = {"end": "last", "year": "regex:[0-9]{4}", "word": "regex:w[0-9]", "mark": "span"}
    rows = table().assign(span=pd.Series([[6, 14], "none", [0, 2], "5"], dtype=object))
    said = r"position 'regex:\[0-9\]\{4\}' is nowhere in 3 of 4 rows \('a', 'c', 'd'\), 'span' in 1 \('b'\): check it"
    with pytest.raises(InputError, match=said):
        plan_positions(str(place / "model"), rows, positions)
    marks = {"number": r"regex:\b[0-9]+\b", "first": "regex:^w[0-9]"}
    plans = plan_positions(str(place / "model"), table(), marks, missing="skip", max_length=3)
    said = (
        r"the marked position 'regex:.{2,4}\[0-9\]\+.{2,4}' is cut off in 3 rows \('b', 'c', 'd'\), of which 3 tokens"
    )
    with pytest.raises(InputError, match=said):
        extract_positions(plans, tmp_path / "acts", placement=CPU)


def test_rows_are_left_out_only_when_asked_and_by_name(place: Path, tmp_path: Path, w2s: Any, capsys: Any) -> None:
    call = ["extract", place / "model", "--rows", place / "rows.jsonl", "--out", tmp_path / "acts"]
    w2s(*call, "--position", "year=regex:[0-9]{4}", "--position", "end=last", "--missing", "skip")
    said = capsys.readouterr()
    assert "left out, as a position is nowhere in them: 3 rows, 'a', 'c', 'd'" in said.out + said.err
    for name in ("year", "end"):
        store = ActivationStore.open(tmp_path / "acts" / name)
        assert (store.ids.tolist(), store.manifest.notes["left_out"]) == (["b"], ["a", "c", "d"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--position", "regex:[0-9]{4}", "--missing", "skip"], ["w2s sweep acts LABELS --out sweep.csv", "(LABELS: "]),
        (["--position", "end=last", "--position", "mid=mean"], ["w2s sweep acts/end rows.jsonl --out sweep.csv"]),
        (["--position", "all"], ["w2s tokens acts rows.jsonl --layer 2 --out tokens.jsonl"]),
    ],
)
def test_the_command_that_is_proposed_can_be_typed(
    options: list[str], said: list[str], place: Path, tmp_path: Path, w2s: Any, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    write_table(table().assign(label=[0.2, 0.9, 0.1, 0.8]), "rows.jsonl")
    w2s("extract", place / "model", "--rows", "rows.jsonl", "--out", "acts", *options)
    lines = capsys.readouterr().out.splitlines()
    at = next(at for at, line in enumerate(lines) if line.startswith("Next: "))
    assert [lines[at].removeprefix("Next: "), *(line[:9] for line in lines[at + 1 :])] == said


def test_a_span_that_is_cut_off_is_refused_before_anything_is_computed(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extractor, "SHARD_ROWS", 1)
    plan = Extraction.plan(str(place / "model"), table(), position="regex:w[0-9]", max_length=4)
    with pytest.raises(
        InputError, match=r"cut off in 4 rows \('a', 'b', 'c', 'd'\), of which 4 tokens .* on the right"
    ):
        plan.run(tmp_path / "acts", placement=CPU)
    assert not (tmp_path / "acts").exists()


def test_what_reads_named_positions_alone_says_so(place: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    rows: list[Any] = ["--rows", place / "rows.jsonl"]
    Extraction.plan(str(place / "model"), table(), position="span").run(tmp_path / "acts", placement=CPU)
    assert "acts: holds span: give w2s doctor" in fails("doctor", place / "model", "--store", tmp_path / "acts", *rows)
    line = fails("extract", place / "model", *rows, "--position", "span", "--remote", "--out", tmp_path / "o")
    assert "--remote reads one of last, first, mean and all, not --position span" in line
    line = fails("extract", place / "model", *rows, "--position", "a=last", "--add", "--out", tmp_path / "acts")
    assert "--add adds to a store" in line


def test_rows_that_were_left_out_stay_so_when_rows_are_added_and_a_shard_is_repaired(
    place: Path, tmp_path: Path
) -> None:
    """And spans that a CSV file holds as text are the same spans."""

    def plan(rows: pd.DataFrame) -> Extraction:
        return Extraction.plan(str(place / "model"), rows, position="regex:[0-9]{4}", layers=[2], missing="skip")

    acts, notes = tmp_path / "acts", {"rows_from": [str(place / "rows.jsonl")]}
    plan(table()[:2]).run(acts, placement=CPU, notes=notes)
    more = pd.concat([table(), table()[1:2].assign(id="e")], ignore_index=True)
    write_table(more, tmp_path / "more.jsonl")
    added = add(plan(more), acts, placement=CPU, notes={"rows_from": [str(tmp_path / "more.jsonl")]})
    assert added is not None
    assert (added.ids.tolist(), added.manifest.notes["left_out"]) == (["b", "e"], ["a", "c", "d"])
    file = shard_file(acts)
    before = file.read_bytes()
    file.unlink()
    repair(acts, placement=Placement("cpu"))
    assert shard_file(acts).read_bytes() == before
    # Rows that another position left out and that are there now are said to be left out no more.
    plans = plan_positions(
        str(place / "model"), table(), {"end": "last", "year": "regex:[0-9]{4}"}, layers=[2], missing="skip"
    )
    end = extract_positions(plans, tmp_path / "two", placement=CPU, notes=notes)["end"]
    assert end is not None
    everything = Extraction.plan(str(place / "model"), table(), layers=[2])
    added = add(everything, end.path, placement=CPU, notes=notes)
    assert added is not None
    assert added.ids.tolist() == ["b", "a", "c", "d"]
    assert "left_out" not in added.manifest.notes
    file = shard_file(end.path)
    before = file.read_bytes()
    file.unlink()
    repair(end.path, placement=Placement("cpu"))
    assert file.read_bytes() == before
    written = table().assign(span=pd.Series(["[6, 14]", "1912", "[0, 2]", "5"], dtype=object))
    keys = {Extraction.plan(str(place / "model"), rows, position="span").key for rows in (table(), written)}
    assert len(keys) == 1
