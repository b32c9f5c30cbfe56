"""A supervisor that reads debates: members learn weak-train with transcripts of their own; a label is their mean."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from extract.asking.label_words import WORDS
from extract.debating import Debate, Transcript, attach, read_transcripts
from extract.debating.prompt_file import BUILT_IN
from extract.debating.shuffling import SPLIT, shuffled
from extract.tasks import find_task
from w2s_probes.code_hashes import code_hash
from w2s_probes.errors import InputError
from w2s_probes.io.files import sha256
from w2s_probes.progress import RowsRead
from w2s_probes.rows.folds import fold_numbers
from w2s_probes.rows.groups import groups_of
from w2s_probes.store.manifest import identity_key

from ..experiment.row_sets import SPREAD, RowSets
from ..experiment.task_models import KEPT, TaskModels, every_row
from ..lessons.engine import Steps, side_by_side
from ..lessons.lesson import Scores
from ..lessons.result_cache import array_hash, table_hash
from ..recipe.debate_settings import DEBATE_CONTROL, OWN_KEPT, DebateSettings
from ..recipe.schema import Recipe, Weak
from .alone import supervise_alone
from .calibrated import calibration_key
from .ensembles import member_seed, resampled
from .from_model import model_supervisor
from .hearing import ByRow, Hearing, Reader
from .held_out import HELD_OUT
from .tfidf import text_supervisor

TURNS = "turns"  # folder of what was said, within that of kept results
FOLDS = 5  # of weak-train, for the naive opinions that market-making argues against
CODE = (supervise_alone, text_supervisor, model_supervisor, resampled, attach, shuffled, Reader)  # for keys


@dataclass(frozen=True)
class Debating:
    """The debate of one task and seed, its members, and its controls. No truth but that of weak-train is in it."""

    settings: DebateSettings
    weak: Weak
    debater: str  # the model that argues
    weak_debater: str | None  # and that of control-debate-weak
    sets: RowSets
    models: TaskModels  # of the rows as they are
    names: tuple[str, str]  # of labels 0 and 1
    task: str
    seed: int
    _made: dict[str, list[Transcript]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _unmoved: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, recipe: Recipe, sets: RowSets, models: TaskModels, task: str, seed: int) -> "Debating | None":
        """The recipe's debate; None where it has no [debate]."""
        settings = recipe.debate
        if settings is None:
            return None
        names = label_names(recipe, task) or list(WORDS)
        blind = sets.with_tables({name: table.drop(columns="label") for name, table in sets.labelled.items()})
        blind = replace(blind, conflict=None, subsets={})
        debater = settings.model or recipe.strong.model
        weak_debater = settings.weak_model or recipe.weak.model
        both = (names[0], names[1])
        return cls(settings, recipe.weak, debater, weak_debater, blind, models, both, task, seed)

    @property
    def description(self) -> dict[str, Any]:
        """All that decides the labels, the run's own and those of all controls."""
        found = self.models.sources.find
        named = [self.weak.model, self.debater, self.weak_debater]
        paths = {"model", "weak_model", "file", "template", "prompts"}
        return {
            "weak": self.weak.model_dump(mode="json", exclude={"model", "calibrate"})
            | {"finetuning": self.weak.finetuning.facts(speaks=False)},
            **calibration_key(self.weak),
            "weights": [found(name).weights if name is not None else None for name in named],
            "debate": self.settings.model_dump(mode="json", exclude=paths),
            "transcripts": self._source_key,
            "names": self.names,
            "rows": {name: table_hash(table) for name, table in self.sets.tables.items()},
            "truth": array_hash(self.sets.weak["label"].to_numpy(dtype=float)),
            "code": [code_hash(one) for one in (*CODE, Debating)],
            "task": self.task,
            "seed": self.seed,
        }

    @cached_property
    def _source_key(self) -> str:
        """A key of all that decides the transcripts, those of controls too, whether there are any yet or not."""
        settings = self.settings
        if not settings.is_held:
            return ""
        if settings.file is not None:
            return sha256(settings.file)
        prompts = sha256(Path(settings.prompts) if settings.prompts is not None else BUILT_IN)  # of every protocol
        return identity_key({"own": self.plan().key, "weak": self._weak_identity, "prompts": prompts})

    @property
    def _weak_identity(self) -> dict[str, Any] | None:
        """What decides the turns of control-debate-weak; None where there can be none."""
        try:
            return None if self.weak_debater is None else self.plan("weak").identity
        except InputError:  # `refuse` tells it where the control is among the methods
            return None

    @property
    def n_truth(self) -> int:
        """The true labels of weak-train that members learn from."""
        return len(self.sets.weak)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Every row (id, text) that is argued about, once."""
        return every_row(list(self.sets.tables.values()))

    def plan(self, control: str = "", naive: Mapping[str, float] | None = None) -> Debate:
        """The plan of what is generated; InputError where model, prompts and rows do not go together."""
        settings = self.settings
        protocol = settings.under(control).protocol
        if protocol == "market-making" and naive is None:
            naive = dict.fromkeys(self.rows["id"], 0.5)  # the sides are not known before there are labels
        name = self.weak_debater if control == "weak" else self.debater
        assert name is not None
        return Debate.plan(
            self.models.sources.find(name),
            self.rows,
            names=self.names,
            question=settings.question,
            protocol=protocol,
            turns=settings.turns,
            members=settings.members,
            shared=settings.shared,
            naive=naive,
            seed=self.seed if settings.seed is None else settings.seed,
            temperature=settings.temperature,
            top_p=settings.top_p,
            max_new_tokens=settings.max_new_tokens,
            chat_template=settings.template,
            prompts=settings.prompts,
        )

    def refuse(self, controls: Iterable[str]) -> None:
        """InputError where there are no such transcripts, or none can be made; nothing is generated."""
        if not self.settings.is_held:
            return
        arguing = [name for name in controls if self.settings.argues_anew(name)]
        if self.settings.file is None:
            for control in ["", *arguing]:
                self.plan(control).refuse_long_rows()
        elif arguing:
            raise InputError(
                f"method {DEBATE_CONTROL + arguing[0]!r} has a model argue, and debate.file gives the transcripts: "
                "leave the method out, or name a model in debate.model in place of the file"
            )
        else:
            self._read()

    @property
    def turns(self) -> Path:
        """The folder of all that was said."""
        return self.models.folder / KEPT / TURNS

    def _progress(self, read: RowsRead, /) -> None:
        self.models.clock.within(f"debate, turn {read.rows:,} of {read.of_rows:,}")

    def _read(self) -> list[Transcript]:
        assert self.settings.file is not None
        many = 1 if self.settings.shared else self.settings.members
        return read_transcripts(
            self.settings.file, self.rows["id"].tolist(), members=many, protocol=self.settings.protocol
        )

    def _transcripts(self, control: str) -> Steps[list[Transcript]]:
        """Those of a control, members in turn, as read or made; made once."""
        place = control if self.settings.argues_anew(control) else ""
        if place not in self._made:
            if self.settings.file is not None:
                self._made[place] = self._read()
            else:
                making = self.settings.under(control).protocol == "market-making"
                naive = (yield from self._naive()) if making else None
                with self.models.clock.timer("debates"):
                    self._made[place] = self.plan(control, naive).run(self.turns, progress=self._progress)
        return self._made[place]

    def heard(self, control: str = "") -> Steps[list[ByRow]]:
        """The transcripts that each member has; none of a control without a debate."""
        settings = self.settings.under(control)
        if not settings.is_held:
            return []
        said = yield from self._transcripts(control)
        if settings.shuffled:
            splits = pd.concat([table.assign(**{SPLIT: name}) for name, table in self.sets.tables.items()])
            said, self._unmoved[control] = shuffled(said, splits.drop_duplicates("id"), seed=self.seed)
        numbers = [0 if settings.shared else number for number in range(settings.members)]
        return [{one.id: one for one in said if one.member == number} for number in numbers]

    def labels(self, control: str = "") -> Steps[Scores]:
        """P(label = 1) of each set, the mean of the members', and their standard deviations (`SPREAD`)."""
        heard = yield from self.heard(control)
        weak = Weak(kind="text", n_truth=self.weak.n_truth) if control == "transcript" else self.weak
        read = [self._hearing(said, weak, alone=control == "transcript").sets for said in heard]
        return (yield from self._members(weak, read or [self.sets] * self.settings.members))

    def notes(self, control: str = "") -> dict[str, float]:
        """What a control's record says of its transcripts, once they have been heard: rows that kept their own."""
        return {OWN_KEPT: float(self._unmoved[control])} if control in self._unmoved else {}

    def facts(self, heard: Sequence[ByRow]) -> dict[str, Any]:
        """What the run's record says of the transcripts that the members have."""
        said = [one for member in (heard[:1] if self.settings.shared else heard) for one in member.values()]
        turns = [turn for one in said for turn in one.turns]
        tokens = [one.tokens for one in said if one.tokens is not None]
        texts = [text for member in heard for text in self._hearing(member, self.weak).texts]
        facts = {"rows": len(self.rows), "transcripts": len(said), "turns": len(turns)}
        facts |= {OWN_KEPT: self._unmoved[""]} if "" in self._unmoved else {}
        facts |= {"tokens": sum(tokens)} if len(tokens) == len(said) else {}
        facts |= {"turns_cut": sum(turn.cut for turn in turns), "turns_empty": sum(turn.is_empty for turn in turns)}
        read = {name: float(np.mean([getattr(text, name) for text in texts])) for name in COUNTS}
        return facts | read | {"transcripts_cut": sum(text.cut for text in texts) / max(1, len(texts))}

    def _members(self, weak: Weak, read: Sequence[RowSets]) -> Steps[Scores]:
        members = []
        for number, sets in enumerate(read):
            seed = member_seed(self.seed, self.task, number)
            own = replace(sets, weak=resampled(sets.weak, seed)) if self.settings.bagging else sets
            models = self.models.of_rows(every_row(list(own.tables.values())))
            members.append(supervise_alone(weak, own, models, task=self.task, seed=seed))
        parts = yield from side_by_side(members)
        scores: Scores = {}
        for name in [name for name in parts[0] if name != HELD_OUT]:
            every = np.array([part[name] for part in parts])
            scores |= {name: every.mean(axis=0), SPREAD + name: every.std(axis=0)}
        return scores

    def _hearing(self, said: ByRow, weak: Weak, *, alone: bool = False) -> Hearing:
        reader = Reader.of(weak, self.models.sources.find)
        return reader.hear(self.sets, said, self.names if self.settings.named else None, alone=alone)

    def _naive(self) -> Steps[dict[str, float]]:
        """P(1) of every row by the members that read no transcript; of weak-train by ones that did not learn the row.

        By ones that did, market-making would argue against the truth in weak-train, and nowhere else.
        """
        table = self.sets.weak
        apart = np.arange(len(table), dtype=np.float32)[:, None]  # no two texts are equal
        truth = table["label"].to_numpy(dtype=np.float64)
        folds = fold_numbers(apart, truth, groups=groups_of(table), folds=FOLDS, seed=self.seed)
        parts = [(table[folds != fold].reset_index(drop=True), table[folds == fold]) for fold in range(FOLDS)]
        divided = [RowSets(rest, *[rows.reset_index(drop=True)] * 3) for rest, rows in parts]
        many = self.settings.members
        found = yield from side_by_side([self._members(self.weak, [sets] * many) for sets in (*divided, self.sets)])
        naive = {row: p for name, rows in self.sets.labelled.items() for row, p in _by_id(rows, found[-1][name])}
        return naive | {
            row: p
            for sets, scores in zip(divided, found, strict=False)
            for row, p in _by_id(sets.train, scores["train"])
        }


def label_names(recipe: Recipe, task: str) -> list[str] | None:
    """What a task calls labels 0 and 1, by its short name; None where it does not say."""
    names = {Path(name).stem: name for name in recipe.data.tasks}
    return find_task(names[task])[1].label_names if task in names else None


COUNTS = ("row_tokens", "transcript_tokens", "kept_tokens")


def _by_id(rows: pd.DataFrame, scores: Any) -> Iterator[tuple[str, float]]:
    return zip(rows["id"], map(float, scores), strict=True)
