"""How a causal model that learns to say labels is asked: the way of asking any model, with its words fixed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from w2s_probes.checkpoints.tokens import Tokens
from w2s_probes.errors import InputError, shortened
from w2s_probes.students.finetuning.saved_files import SCORING, read_scoring

from ..models.loading import Placement
from ..models.source import ModelSource
from ..row_files import checked_rows
from ..templates import Template
from .asking import Answers, Asking
from .label_words import WORDS, LabelWord
from .prompts import PATTERN

SAMPLE = "a text"  # what the prompt ends with decides how words are spelled after it: the same for every row
SAMPLE_ROW = pd.DataFrame({"id": ["a row"], "text": [SAMPLE]})


@dataclass(frozen=True)
class Saying:
    """A prompt, a chat template and two label words of one model; for `finetune(says=...)`."""

    asking: Asking  # its rows stand for none

    @classmethod
    def plan(
        cls,
        model: str | ModelSource,
        *,
        answers: tuple[str, str] = WORDS,
        prompt: str = PATTERN,
        chat_template: str | Template | None = None,
    ) -> "Saying":
        """As `Asking.plan`, without rows; InputError for a model that cannot answer, and for words that it lacks.

        And for a chat template that holds the date: what has learned with today's is asked with it ever after.
        """
        asking = Asking.plan(model, SAMPLE_ROW, answers=answers, prompt=prompt, chat_template=chat_template)
        template = asking.prompt.template
        if template is not None and template.holds_date(asking.source.tokenizer):
            raise InputError(
                f"{asking.source.name}: its chat template holds the date, and a model that learns to say labels would "
                "be asked otherwise tomorrow: give a Jinja file with the date written out as chat template"
            )
        return cls(asking)

    @classmethod
    def of_saved(cls, folder: Path) -> "Saying":
        """That of a model that `finetune(says=..., save=True)` wrote; InputError where it says no labels."""
        facts = read_scoring(folder).says
        source = ModelSource.find(str(folder))
        if facts is None:
            raise InputError(f"{folder}: says no labels: give a model that was trained as kind 'lm'")
        try:
            first, second = (LabelWord(str(word), str(spelled), int(token)) for word, spelled, token in facts["words"])
            template = None if facts["template"] is None else Template(*facts["template"])
            asked = Asking.plan(
                source,
                SAMPLE_ROW,
                answers=(first.word, second.word),
                prompt=facts["prompt"],
                chat_template=template or "none",
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{folder / SCORING}: not as a student writes it: train the student again") from error
        return cls(replace(asked, words=(first, second)))

    @property
    def words(self) -> tuple[int, int]:
        """The tokens of labels 0 and 1."""
        first, second = self.asking.words
        return first.token, second.token

    @property
    def facts(self) -> dict[str, Any]:
        """All that decides what is asked, fit for JSON: prompt, words, and the template with its sample rendering."""
        template = self.asking.prompt.template
        return {
            "prompt": self.asking.prompt.pattern,
            "words": [[word.word, word.spelling, word.token] for word in self.asking.words],
            "template": None if template is None else [template.source, template.rendering, template.parts],
        }

    def moved(self, source: ModelSource) -> "Saying":
        """The same of the model as `source` has it."""
        return Saying(replace(self.asking, source=source))

    def of(self, rows: pd.DataFrame) -> Asking:
        """The plan of asking about rows (id, text)."""
        return replace(self.asking, rows=rows)

    def tokens(self, texts: Sequence[str], what: str) -> list[Tokens]:
        """The tokens of each text's prompt; InputError, naming the row, for one beyond the model's window."""
        names = [f"{what}: row {number}, {shortened(text)}" for number, text in enumerate(texts)]
        return self.asking.tokens_of(list(texts), names)


def said_labels(folder: Path | str, rows: pd.DataFrame, *, placement: Placement | None = None) -> Answers:
    """What a saved model that says labels answers about rows (id, text): `.p`, and the logits of the two words.

    Each row stands for itself, also one of a `question` or a `pair`, as in training.
    """
    saying = Saying.of_saved(Path(folder))
    return saying.of(checked_rows(rows, "the rows")[["id", "text"]]).run(placement=placement)
