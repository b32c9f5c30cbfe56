"""A debate: rows, sides and prompts as a plan, and the turns that a model makes of it, one after another."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from w2s_probes.checkpoints.tokens import Tokens
from w2s_probes.io.plain_values import refuse_no_utf8
from w2s_probes.progress import RowProgress, RowsRead, silent
from w2s_probes.randomness import stream
from w2s_probes.store.dtypes import StoredDtype
from w2s_probes.store.manifest import identity_key

from ..generating.draws import uniforms
from ..generating.generation import Generation, encode_prompts, end_tokens, generated, refuse_long
from ..generating.generator import TextGenerator
from ..generating.sampling import Sampling, refuse_sampling
from ..models.loading import Placement, quantization_config, refuse_speechless
from ..models.source import ModelSource
from ..row_files import checked_rows, rows_hash
from ..templates import Template, find_template
from .prompt_file import DebatePrompt
from .protocols import (
    NAMES,
    Protocol,
    naive_beliefs,
    refuse_equal_members,
    refuse_names,
    refuse_protocol,
    sides_of,
    speaker_of,
)
from .transcripts import Transcript, Turn, refuse_empty
from .turn_cache import TurnCache

FORMAT = 1  # of turns: another way from a prompt to a text gets another number
Place = tuple[int, int]  # member and row


@dataclass(frozen=True, eq=False)
class Debate:
    """A plan of what is argued: all that determines the transcripts. No weights are loaded, no label is read."""

    source: ModelSource
    rows: pd.DataFrame  # columns `id` and `text`
    protocol: Protocol
    turns: int
    members: int  # transcripts of each row
    sides: tuple[Mapping[str, int], ...]  # of each row
    names: tuple[str, str]
    question: str
    prompt: DebatePrompt
    template: Template | None
    sampling: Sampling
    max_new_tokens: int
    seed: int
    dtype: StoredDtype
    quantization: str | None = None

    @classmethod
    def plan(
        cls,
        model: str | ModelSource,
        rows: pd.DataFrame,
        *,
        protocol: str = "debate",
        turns: int = 3,
        members: int = 4,
        shared: bool = False,
        names: Sequence[str] = NAMES,
        question: str = "",
        naive: Mapping[str, float] | None = None,
        seed: int = 0,
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_new_tokens: int = 128,
        chat_template: str | None = None,
        prompts: Path | str | None = None,
        dtype: str = "auto",
        quantization: str | None = None,
    ) -> "Debate":
        """Resolve all options; nothing but config and tokenizer is read.

        `names` are the answers of labels 0 and 1 that are argued for. `shared` makes one transcript a row, for all
        members. `naive` is P(1) by id of a model that reads no transcripts, which market-making argues against.
        `chat_template` and `prompts` are files, see `generate` and `DebatePrompt.read`. The model may be any causal
        one, the strong or, for self-debate, the weak. InputError for what cannot be used.
        """
        kind = refuse_protocol(protocol, turns, members)
        refuse_sampling(temperature, top_p, max_new_tokens)
        refuse_names(names)
        refuse_no_utf8(question, "question")
        refuse_equal_members(temperature, 1 if shared else members)
        if quantization is not None:
            quantization_config(quantization)
        source = ModelSource.find(model) if isinstance(model, str) else model
        refuse_speechless(source, "argue")
        rows = checked_rows(rows, "rows")[["id", "text"]].reset_index(drop=True)
        template = find_template(source.tokenizer, source.name, chat_template)
        beliefs = naive_beliefs(kind, rows["id"].tolist(), naive)
        return cls(
            source,
            rows,
            kind,
            turns,
            1 if shared else members,
            tuple(sides_of(kind, row, seed=seed, naive=beliefs.get(row)) for row in rows["id"]),
            (names[0], names[1]),
            question,
            DebatePrompt.read(prompts, kind, chat=template is not None),
            template,
            Sampling(temperature, top_p, end_tokens(source)),
            max_new_tokens,
            seed,
            source.stored_dtype(dtype),
            quantization,
        )

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that the debates of any rows, members and turns share, and that determines them."""
        return {
            "format": FORMAT,
            "weights": self.source.weights,
            "dtype": self.dtype,
            "quantization": self.quantization,
            "template": None if self.template is None else [self.template.source, self.template.fingerprint],
            "prompt": self.prompt.source,
            "protocol": self.protocol,
            "names": list(self.names),
            "question": self.question,
            "sampling": [self.sampling.temperature, self.sampling.top_p, list(self.sampling.ends), self.max_new_tokens],
            "seed": self.seed,
        }

    @cached_property
    def _ids(self) -> list[str]:
        return [str(row) for row in self.rows["id"]]

    @cached_property
    def _texts(self) -> list[str]:
        return [str(text) for text in self.rows["text"]]

    @property
    def key(self) -> str:
        """A hash of all that determines the transcripts of these rows."""
        sides = [dict(sides) for sides in self.sides]
        of_rows = {"rows": rows_hash(self.rows), "sides": sides, "turns": self.turns, "members": self.members}
        return identity_key(self.identity | of_rows)

    def generator(self, placement: Placement | None = None) -> TextGenerator:
        """The loaded model."""
        return TextGenerator(self.source, dtype=self.dtype, quantization=self.quantization, placement=placement)

    def refuse_long_rows(self) -> None:
        """InputError, by id and lengths, for rows whose last prompt might not fit into the model's window."""
        speakers = [speaker_of(self.protocol, turn) for turn in range(1, self.turns)]
        said = [tuple(Turn(name, sides.get(name), "") for name in speakers) for sides in self.sides]
        prompts = self._prompts([(0, row) for row in range(len(self.rows))], said)
        # Beside the prompt, every turn before it and the one to come, each at its longest.
        refuse_long(self.source, [len(prompt) for prompt in prompts], self._ids, self.turns * self.max_new_tokens)

    def run(
        self,
        cache: Path | str | None = None,
        *,
        placement: Placement | None = None,
        generator: TextGenerator | None = None,
        progress: RowProgress = silent,
    ) -> list[Transcript]:
        """Every member's transcripts: members in turn, in each the rows in their order.

        Turns are kept in the folder `cache`, by the hash of all that decides each, and taken from there; the model is
        loaded once there is one to generate, unless `generator` is that of this plan. InputError where more than 5 %
        of turns are empty.
        """
        self.refuse_long_rows()
        kept = TurnCache(cache, self.identity)
        places = [(member, row) for member in range(self.members) for row in range(len(self.rows))]
        said: dict[Place, tuple[Turn, ...]] = dict.fromkeys(places, ())
        keys: dict[Place, str] = {}
        done = RowsRead(0, len(places) * self.turns)
        for turn in range(1, self.turns + 1):
            keys = {place: self._key(place, turn, said[place]) for place in places}
            # Members of a row one after another: in the first turn they have one prompt, which a batch reads once.
            missing = sorted(
                (place for place in places if kept.get(keys[place]) is None), key=lambda place: place[::-1]
            )
            done = replace(done, rows=done.rows + len(places) - len(missing))
            progress(done)
            if missing:
                generator = generator or self.generator(placement)
            for batch in self._generated(generator, missing, turn, said):
                kept.put({keys[place]: (self._about(place, turn), text) for place, text in batch.items()})
                new = sum(text.tokens for text in batch.values())
                done = replace(done, rows=done.rows + len(batch), tokens=done.tokens + new)
                progress(done)
            for place in places:
                said[place] = (*said[place], self._turn(place, turn, kept.get(keys[place])))
            refuse_empty(self._transcripts(said, keys), f"turn {turn} of {self.source.name}")
        return self._transcripts(said, keys)

    def finished(self, cache: Path | str) -> list[Transcript] | None:
        """The transcripts, if every turn of them is in the cache; None if some are not."""
        kept = TurnCache(cache, self.identity)
        said: dict[Place, tuple[Turn, ...]] = {}
        keys: dict[Place, str] = {}
        for place in [(member, row) for member in range(self.members) for row in range(len(self.rows))]:
            said[place] = ()
            for turn in range(1, self.turns + 1):
                keys[place] = self._key(place, turn, said[place])
                generation = kept.get(keys[place])
                if generation is None:
                    return None
                said[place] = (*said[place], self._turn(place, turn, generation))
        return self._transcripts(said, keys)

    def part(self, rows: Sequence[int]) -> "Debate":
        """The same debate about some of the rows."""
        chosen = self.rows.iloc[list(rows)].reset_index(drop=True)
        return replace(self, rows=chosen, sides=tuple(self.sides[row] for row in rows))

    def _generated(
        self,
        generator: TextGenerator | None,
        places: Sequence[Place],
        turn: int,
        said: Mapping[Place, tuple[Turn, ...]],
    ) -> Iterator[dict[Place, Generation]]:
        """The texts of one turn, a batch at a time; without room in the window a speaker falls silent."""
        if not places:
            return
        assert generator is not None
        prompts = self._prompts(places, [said[place] for place in places])
        window = self.source.window
        room = [self.max_new_tokens if window is None else window - len(prompt) for prompt in prompts]
        full = [at for at in range(len(places)) if room[at] < 1]
        if full:
            yield {places[at]: Generation("", 0, True) for at in full}
        fitting = [at for at in range(len(places)) if room[at] >= 1]
        streams = [self._stream(places[at], turn) for at in fitting]
        names = [self._ids[places[at][1]] for at in fitting]
        limits = [min(room[at], self.max_new_tokens) for at in fitting]
        draws = uniforms(streams, self.max_new_tokens)
        tokens = [prompts[at] for at in fitting]
        for batch in generated(generator, tokens, draws, limits, names, self.sampling):
            yield {places[fitting[at]]: text for at, text in batch.items()}

    def _stream(self, place: Place, turn: int) -> np.random.Generator:
        member, row = place
        return stream(self.seed, "debate", member, self._ids[row], turn)

    def _prompts(self, places: Sequence[Place], said: Sequence[tuple[Turn, ...]]) -> list[Tokens]:
        """The token ids of the next turn's prompts."""
        messages, names = [], []
        for (_, row), before in zip(places, said, strict=True):
            speaker = speaker_of(self.protocol, len(before) + 1)
            text, side = self._texts[row], self.sides[row].get(speaker)
            messages.append([self.prompt.of(text, speaker, side, before, self.names, self.question)])
            names.append(self._ids[row])
        return encode_prompts(self.source, self.template, messages, names)

    def _turn(self, place: Place, turn: int, text: Generation | None) -> Turn:
        assert text is not None
        speaker = speaker_of(self.protocol, turn)
        return Turn(speaker, self.sides[place[1]].get(speaker), text.text, text.tokens, text.cut)

    def _key(self, place: Place, turn: int, said: Sequence[Turn]) -> str:
        """A hash of all that determines one turn."""
        member, row = place
        return identity_key(
            {
                "debate": self._shared_key,
                "member": member,
                "id": self._ids[row],
                "text": self._texts[row],
                "sides": dict(self.sides[row]),
                "turn": turn,
                "said": [[before.speaker, before.side, before.text] for before in said],
            }
        )

    @cached_property
    def _shared_key(self) -> str:
        return identity_key(self.identity)

    def _about(self, place: Place, turn: int) -> dict[str, Any]:
        return {"member": place[0], "id": self._ids[place[1]], "turn": turn}

    def _transcripts(self, said: Mapping[Place, tuple[Turn, ...]], keys: Mapping[Place, str]) -> list[Transcript]:
        return [
            Transcript(self._ids[row], member, self.protocol, self.sides[row], turns, keys[member, row])
            for (member, row), turns in said.items()
        ]
