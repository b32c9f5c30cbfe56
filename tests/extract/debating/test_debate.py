"""Debates of tiny models and of the miniature: the same turns whatever else is argued, kept, resumed, no label read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from extract.debating import Debate, Transcript
from extract.debating.protocols import a_argues_for
from extract.generating import generate
from extract.generating.generator import TextGenerator
from extract.models.loading import Placement
from tests.conftest import ROOT
from w2s_probes import InputError
from w2s_probes.io.tables import read_table
from w2s_probes.randomness import stream

Checkpoint = Callable[..., Path]
STRONG, WEAK = (str(ROOT / "data" / "miniature" / name) for name in ("strong", "weak"))
PROMPT = "{{ text }}{% for turn in said %} {{ turn.answer }} {{ turn.text }}{% endfor %} {{ answer }}"
OPTIONS: dict[str, Any] = {"names": ("noisy", "quiet"), "max_new_tokens": 4, "members": 2}


@pytest.fixture(scope="module")
def texts() -> pd.DataFrame:
    rows = read_table(ROOT / "data/miniature/rows/miniature_sound/test.jsonl.gz")[:8].reset_index(drop=True)
    return rows.assign(id=[f"a{i}" for i in range(1, 9)])


@pytest.fixture
def prompt(tmp_path: Path) -> Path:
    file = tmp_path / "prompt.jinja"
    file.write_text(PROMPT)
    return file


def plan(rows: pd.DataFrame, prompt: Path, model: str = STRONG, **options: Any) -> Debate:
    return Debate.plan(model, rows, prompts=prompt, **OPTIONS | options)


def by_place(transcripts: list[Transcript]) -> dict[tuple[int, str], Transcript]:
    return {(each.member, each.id): each for each in transcripts}


def never(*_: object, **__: object) -> Any:
    raise AssertionError


def test_turns_are_what_the_model_writes_after_prompts_worked_out_by_hand(texts: pd.DataFrame, prompt: Path) -> None:
    found = plan(texts, prompt).run()
    assert [(each.member, each.id) for each in found] == [(m, i) for m in (0, 1) for i in texts["id"]]
    said = dict.fromkeys(by_place(found), "")
    for turn, speaker in ((1, "A"), (2, "B"), (3, "A")):
        places = list(said)
        names = {}
        for place in places:
            side = a_argues_for(place[1]) if speaker == "A" else 1 - a_argues_for(place[1])
            names[place] = OPTIONS["names"][side]
            assert by_place(found)[place].turns[turn - 1].side == side
        text = dict(zip(texts["id"], texts["text"], strict=True))
        by_hand = generate(
            STRONG,
            [[f"{text[place[1]]}{said[place]} {names[place]}"] for place in places],
            [stream(0, "debate", place[0], place[1], turn) for place in places],
            max_new_tokens=4,
        )
        for place, generation in zip(places, by_hand, strict=True):
            own = by_place(found)[place].turns[turn - 1]
            assert (own.speaker, own.text, own.tokens, own.cut) == (speaker, generation.text, generation.tokens, True)
            said[place] += f" {names[place]} {generation.text}"


def test_order_batches_members_turns_and_labels_leave_a_transcript_as_it_is(texts: pd.DataFrame, prompt: Path) -> None:
    one = plan(texts, prompt)
    found = by_place(one.run())
    turned = plan(texts[::-1].reset_index(drop=True), prompt).run(placement=Placement(batch_tokens=60))
    assert by_place(turned) == found
    assert by_place(plan(texts[3:5].reset_index(drop=True), prompt).run()).items() <= found.items()
    more = by_place(plan(texts, prompt, members=3, turns=4).run())
    for place, transcript in found.items():
        assert more[place].turns[:3] == transcript.turns
    flipped = plan(texts.assign(label=1 - texts["label"], truth=0), prompt)
    assert flipped.key == one.key
    assert [each.key for each in flipped.run()] == [each.key for each in found.values()]
    other = by_place(plan(texts, prompt, seed=1).run())
    assert all(other[place].turns != transcript.turns for place, transcript in found.items())


def test_what_is_kept_is_not_generated_again(texts: pd.DataFrame, prompt: Path, tmp_path: Path) -> None:
    found = plan(texts, prompt).run(tmp_path / "turns")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TextGenerator, "__init__", never)
        assert plan(texts, prompt).run(tmp_path / "turns") == found
        assert plan(texts, prompt).finished(tmp_path / "turns") == found
        assert plan(texts, prompt, turns=2, members=1).run(tmp_path / "turns")[0].turns == found[0].turns[:2]
        assert plan(texts, prompt, shared=True).run(tmp_path / "turns") == found[:8]
    seen = rows_written(plan(texts, prompt, members=3), tmp_path / "turns")
    assert seen == 3 * 8  # the third member's alone
    (folder,) = (tmp_path / "turns").iterdir()
    assert json.loads((folder / "about.json").read_text())["protocol"] == "debate"


def rows_written(debate: Debate, cache: Path) -> int:
    """How many turns a model generates for a debate."""
    seen = 0
    write = TextGenerator.write

    def counted(self: TextGenerator, tokens: Any, *others: Any) -> Any:
        nonlocal seen
        seen += len(tokens)
        return write(self, tokens, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TextGenerator, "write", counted)
        debate.run(cache)
    return seen


def test_a_killed_debate_goes_on_and_a_torn_line_is_written_anew(
    texts: pd.DataFrame, prompt: Path, tmp_path: Path
) -> None:
    whole = plan(texts, prompt).run()
    cache = tmp_path / "turns"
    reports = 0

    def killed(_: object) -> None:
        nonlocal reports
        reports += 1
        if reports == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plan(texts, prompt).run(cache, placement=Placement(batch_tokens=100), progress=killed)
    (file,) = cache.rglob("turns-*.jsonl")
    done = len(file.read_bytes().splitlines())
    assert 0 < done < 16
    file.write_bytes(file.read_bytes()[:-9])
    assert plan(texts, prompt).finished(cache) is None
    assert rows_written(plan(texts, prompt), cache) == 2 * 3 * 8 - done + 1
    assert plan(texts, prompt).finished(cache) == whole


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 1},
        {"temperature": 0.5},
        {"top_p": 0.9},
        {"max_new_tokens": 5},
        {"names": ("quiet", "noisy")},
        {"question": "Is it quiet?"},
        {"protocol": "consultancy"},
        {"protocol": "no-sides"},
        {"dtype": "bfloat16"},
        {"model": WEAK},
    ],
)
def test_all_that_decides_a_turn_is_in_its_key(
    options: dict[str, Any], texts: pd.DataFrame, prompt: Path, tmp_path: Path
) -> None:
    one, other = plan(texts, prompt), plan(texts, prompt, **options)
    assert one.key != other.key
    assert one.identity != other.identity
    changed = tmp_path / "changed.jinja"
    changed.write_text(PROMPT + " so")
    assert plan(texts, changed).identity != one.identity


def test_texts_and_sides_are_in_a_turns_key(texts: pd.DataFrame, prompt: Path, tmp_path: Path) -> None:
    plan(texts, prompt, members=1, turns=2).run(tmp_path)
    altered = texts.assign(text=["calm " + texts["text"][0], *texts["text"][1:]])
    assert rows_written(plan(altered, prompt, members=1, turns=2), tmp_path) == 2
    naive = dict.fromkeys(texts["id"], 0.9)
    market: dict[str, Any] = {"protocol": "market-making", "members": 1, "turns": 1}
    first = plan(texts, prompt, **market, naive=naive).run(tmp_path)
    assert {each.a_side for each in first} == {0}
    assert rows_written(plan(texts, prompt, **market, naive=naive | {"a3": 0.1}), tmp_path) == 1
    assert rows_written(plan(texts, prompt, **market, naive=naive | {"a4": 0.6}), tmp_path) == 0  # the same choice


@pytest.mark.parametrize("protocol", ["debate", "consultancy", "no-sides"])
def test_a_base_model_debates_by_the_built_in_prompts_as_plain_text(protocol: str, texts: pd.DataFrame) -> None:
    debate = Debate.plan(STRONG, texts, protocol=protocol, turns=2, members=1, max_new_tokens=6)
    assert debate.template is None
    found = debate.run()
    assert all(len(each.turns) == 2 for each in found)
    assert len({each.turns[1].text for each in found}) == len(texts)


def test_a_chat_model_is_told_as_a_user_and_answers(
    checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extract.debating.transcripts.MOST_EMPTY", 1.0)  # of four texts by random weights
    (tmp_path / "chat.jinja").write_text("{% for m in messages %}{{ 'w8 ' + m['content'] + ' ' }}{% endfor %}w9")
    (tmp_path / "p.toml").write_text(f"[chat]\nconsultancy = {json.dumps(PROMPT)}")
    short = rows[:4].assign(text=["w3 w4", "w5", "w6 w7 w6", "w4"])
    debate = Debate.plan(
        str(checkpoint()),
        short,
        protocol="consultancy",
        turns=1,
        members=1,
        max_new_tokens=5,
        prompts=tmp_path / "p.toml",
        chat_template=str(tmp_path / "chat.jinja"),
        names=("w1", "w2"),
    )
    prompts = [[f"w8 {text} w{1 + a_argues_for(row)} w9"] for row, text in zip(short["id"], short["text"], strict=True)]
    draws = [stream(0, "debate", 0, row, 1) for row in short["id"]]
    by_hand = generate(str(checkpoint()), prompts, draws, max_new_tokens=5)
    assert [each.turns[0].text for each in debate.run()] == [each.text for each in by_hand]


def test_a_speaker_without_room_falls_silent(
    texts: pd.DataFrame, prompt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Debate, "refuse_long_rows", lambda self: None)
    monkeypatch.setattr("extract.debating.transcripts.MOST_EMPTY", 1.0)
    found = plan(texts, prompt, members=1, turns=3, max_new_tokens=60).run()
    assert all(each.turns[0].tokens == 60 for each in found)
    assert all((each.turns[2].text, each.turns[2].tokens, each.turns[2].cut) == ("", 0, True) for each in found)
    assert all(0 < (each.turns[1].tokens or 0) < 60 for each in found)


def test_rows_that_might_not_fit_are_refused_before_weights_are_read(
    texts: pd.DataFrame, prompt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TextGenerator, "__init__", never)
    with pytest.raises(
        InputError, match=r"row 'a\d' with its prompt is \d+ tokens, 120 are to be added, and .* reads 128"
    ):
        plan(texts, prompt, max_new_tokens=40).run()


def test_a_model_that_says_nothing_is_an_error_that_names_rows(
    texts: pd.DataFrame, prompt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extract.debating.debate.end_tokens", lambda source: tuple(range(37)))
    with pytest.raises(
        InputError, match=r"turn 1 of .*: 16 of 16 turns are empty, more than 5%: rows 'a1', 'a2', 'a3'"
    ):
        plan(texts, prompt).run()


def test_models_that_cannot_argue_are_refused(checkpoint: Checkpoint, rows: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="classifiers cannot argue: name a causal model"):
        Debate.plan(str(checkpoint("bert")), rows)
    with pytest.raises(InputError, match="its tokenizer has no chat template"):
        Debate.plan(str(checkpoint()), rows, chat_template="own")
    with pytest.raises(InputError, match="turns=1: a debate needs at least 2"):
        Debate.plan(str(checkpoint()), rows, turns=1)


def test_what_helps_is_the_strong_models_text(texts: pd.DataFrame, prompt: Path) -> None:
    """The strong model's turns tell a row's label by counting words better than a weak model's do."""
    rows = read_table(ROOT / "data/miniature/rows/miniature_sound/test.jsonl.gz")[:60].reset_index(drop=True)
    rows = rows.assign(id=[f"r{i}" for i in range(60)])
    told = {}
    for model in (STRONG, WEAK):
        found = plan(rows, prompt, model, members=1, max_new_tokens=12).run()
        heard = [" ".join(turn.text for turn in each.turns).split() for each in found]
        loud, calm = ({"loud", "noisy", "rowdy", "blaring"}, {"quiet", "silent", "hushed", "calm"})
        # Negated words count for the other side, as whoever reads them knows.
        score = [
            sum(
                ((word in calm) - (word in loud)) * (-1 if at and words[at - 1] in ("not", "hardly") else 1)
                for at, word in enumerate(words)
            )
            for words in heard
        ]
        told[model] = np.corrcoef(score, rows["label"].astype(float))[0, 1]
    assert told[STRONG] > told[WEAK] + 0.1
