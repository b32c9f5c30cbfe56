"""Label words: one token each, spelled as the tokenizer has it after the prompt; what is refused, by name."""

from typing import Any

import pytest

from extract.asking.label_words import beginning, label_words, parse_answers
from w2s_probes import InputError


@pytest.fixture(scope="module")
def byte_level() -> Any:
    """A byte-level tokenizer as GPT-2's: a space belongs to the word after it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=290, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(["yes no yes no", "\nno\nyes"] * 50, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token=None)


def test_a_word_is_spelled_with_a_space_where_the_prompt_ends_in_a_word(byte_level: Any) -> None:
    no, yes = label_words(byte_level, "m", ("no", "yes"), "Is it? Answer:")
    assert (no.spelling, yes.spelling) == (" no", " yes")
    for word in (no, yes):
        whole = byte_level("Is it? Answer:" + word.spelling)["input_ids"]
        assert whole == [*byte_level("Is it? Answer:")["input_ids"], word.token]


def test_and_without_one_after_white_space(byte_level: Any) -> None:
    no, yes = label_words(byte_level, "m", ("no", "yes"), "<|assistant|>\n")
    assert (no.spelling, yes.spelling) == ("no", "yes")
    assert [byte_level.decode([word.token]) for word in (no, yes)] == ["no", "yes"]


@pytest.mark.parametrize(
    ("answers", "fault"),
    [
        (("no", "perhaps"), "answer 'perhaps' is "),
        (("perhaps", "perfect"), "answers 'perhaps' and 'perfect' begin with the same token"),
        (("yes", "yes"), "answers 'yes' and 'yes' begin with the same token"),
    ],
)
def test_words_of_several_tokens_and_of_one_beginning_are_refused_by_name(
    byte_level: Any, answers: tuple[str, str], fault: str
) -> None:
    with pytest.raises(InputError, match=fault):
        label_words(byte_level, "m", answers, "Answer:")


def test_a_word_that_the_tokenizer_does_not_know_is_refused(checkpoint: Any) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint())
    assert [word.token for word in label_words(tokenizer, "m", ("w1", "w2"), "w3")] == [5, 6]
    with pytest.raises(InputError, match=r"answer 'yes': the tokenizer of m does not know it"):
        label_words(tokenizer, "m", ("w1", "yes"), "w3")


def test_what_stands_before_a_text_is_kept_and_what_ends_one_is_not(byte_level: Any) -> None:
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    backend = byte_level.backend_tokenizer.from_str(byte_level.backend_tokenizer.to_str())
    backend.add_special_tokens(["<s>", "</s>"])
    marks = [(name, backend.token_to_id(name)) for name in ("<s>", "</s>")]
    backend.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=marks)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    assert beginning(tokenizer, "yes or no").tolist() == [marks[0][1]]
    assert beginning(byte_level, "yes or no").tolist() == []


@pytest.mark.parametrize("named", ["yes", "a,b,c", "no,", ""])
def test_two_answers_are_given(named: str) -> None:
    with pytest.raises(InputError, match="give two words"):
        parse_answers(named)
