"""Make the miniature: a corpus, two causal language models pretrained on it, and four labelled tasks.

    python data/miniature/prepare.py            # about five minutes on two cores

Every text describes one place by four hidden binary attributes (price, mood, pace, sound). A text never
states an attribute: it shows words that fit one side of it, some of them negated ("not costly") and some
plainly wrong, so the next word can be predicted well only by inferring the attributes and by reading the
negations. That is the latent knowledge which a probe can find in the strong model's activations, and which a
count of words finds only in part. Each attribute is one task; they differ in how often they are mentioned,
negated and contradicted (ATTRIBUTES below).
"""

import argparse
import gzip
import io
import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast


@dataclass(frozen=True)
class Attribute:
    """One hidden binary property of a text, and how noisily the words show it."""

    name: str
    words: tuple[str, str]  # four words for value 0, four for value 1
    share: float  # of the mentions in a text
    negated: float  # of its mentions: the opposite word after a negator
    wrong: float  # of its mentions: the other value is shown


ATTRIBUTES = (
    Attribute("price", ("costly pricey lavish steep", "cheap thrifty modest frugal"), 0.22, 0.24, 0.07),
    Attribute("mood", ("gloomy bleak dreary sombre", "cheerful merry sunny jolly"), 0.24, 0.27, 0.09),
    Attribute("pace", ("slow sluggish idle unhurried", "brisk quick rapid swift"), 0.26, 0.30, 0.11),
    Attribute("sound", ("loud noisy blaring rowdy", "quiet hushed silent calm"), 0.28, 0.33, 0.13),
)
NEGATORS = ("not", "hardly")
SPECIAL = ("<pad>", "<s>", "<unk>")
MENTIONS = (12, 24)  # how many mentions a text holds; negators come on top


@dataclass(frozen=True)
class Recipe:
    """The size and schooling of one language model."""

    width: int
    layers: int
    heads: int
    texts: int
    steps: int


MODELS = {
    "strong": Recipe(width=64, layers=4, heads=4, texts=30_000, steps=3_000),
    "weak": Recipe(width=64, layers=2, heads=4, texts=8_000, steps=200),
}
TRAIN_ROWS, TEST_ROWS, BATCH, PEAK_RATE, WARM_UP = 2_600, 1_000, 64, 3e-3, 100


def write_text(values: np.ndarray, rng: np.random.Generator) -> str:
    """One text that shows the attribute values, a 0/1 array (4,)."""
    shares = [attribute.share for attribute in ATTRIBUTES]
    words: list[str] = []
    for which in rng.choice(len(ATTRIBUTES), size=rng.integers(MENTIONS[0], MENTIONS[1] + 1), p=shares):
        attribute, shown = ATTRIBUTES[which], int(values[which])
        if rng.random() < attribute.wrong:
            shown = 1 - shown
        if rng.random() < attribute.negated:
            words.append(str(rng.choice(NEGATORS)))
            shown = 1 - shown
        words.append(str(rng.choice(attribute.words[shown].split())))
    return " ".join(words)


def corpus(n: int, rng: np.random.Generator) -> tuple[list[str], np.ndarray]:
    """n texts and their hidden values, int (n, 4)."""
    values = rng.integers(0, 2, size=(n, len(ATTRIBUTES)))
    return [write_text(row, rng) for row in values], values


def word_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word, with a start token: the vocabulary is the word lists above."""
    words = [*NEGATORS, *(w for a in ATTRIBUTES for side in a.words for w in side.split())]
    vocabulary = {word: index for index, word in enumerate((*SPECIAL, *words))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", vocabulary["<s>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        unk_token="<unk>",
        model_max_length=128,
    )


def pretrain(recipe: Recipe, tokenizer: PreTrainedTokenizerFast, texts: list[str], seed: int) -> LlamaForCausalLM:
    """Next-word pretraining from scratch: AdamW, linear warm-up, cosine."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.width,
            intermediate_size=3 * recipe.width,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            num_key_value_heads=recipe.heads,
            max_position_embeddings=128,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=None,
        )
    )
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.01)
    encoded = tokenizer(texts, padding=True, return_tensors="pt")
    targets = encoded["input_ids"].masked_fill(encoded["attention_mask"] == 0, -100)
    for step in range(recipe.steps):
        rate = PEAK_RATE * min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
        for group in optimizer.param_groups:
            group["lr"] = rate
        rows = torch.randint(0, len(texts), (BATCH,))
        logits = model(input_ids=encoded["input_ids"][rows], attention_mask=encoded["attention_mask"][rows]).logits
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), targets[rows, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 250 == 0 or step == recipe.steps - 1:
            print(f"  step {step:5d}  loss {loss.item():.3f}", flush=True)
    return model.eval()


@torch.no_grad()
def what_it_knows(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, texts: list[str], values: np.ndarray
) -> None:
    """Print the AUROC of linear probes (half of the texts to fit, half to score) for each layer and attribute."""
    encoded = tokenizer(texts, padding=True, return_tensors="pt")
    mask = encoded["attention_mask"]
    states = model.model(**encoded, output_hidden_states=True).hidden_states
    half = len(texts) // 2
    print("  layer  position  " + "  ".join(f"{a.name:>5}" for a in ATTRIBUTES))
    for layer, state in enumerate(states):
        pooled = {
            "last": state[torch.arange(len(texts)), mask.sum(1) - 1],
            "mean": (state * mask[..., None]).sum(1) / mask.sum(1, keepdim=True),
        }
        for position, features in pooled.items():
            aurocs = []
            for which in range(len(ATTRIBUTES)):
                probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
                probe.fit(features[:half].numpy(), values[:half, which])
                scores = probe.decision_function(features[half:].numpy())
                aurocs.append(roc_auc_score(values[half:, which], scores))
            print(f"  {layer:5d}  {position:8s}  " + "  ".join(f"{a:.3f}" for a in aurocs), flush=True)


def write_rows(path: Path, texts: list[str], labels: np.ndarray) -> None:
    """Gzipped JSONL without a time stamp, so that the same seed gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"text": text, "label": int(label)}) for text, label in zip(texts, labels, strict=True))
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as stream:
        stream.write("\n".join(lines).encode() + b"\n")
    path.write_bytes(buffer.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(2)

    of_models, of_check, *of_tasks = np.random.SeedSequence(arguments.seed).spawn(2 + len(ATTRIBUTES))
    tokenizer = word_tokenizer()
    texts, _ = corpus(max(r.texts for r in MODELS.values()), np.random.default_rng(of_models))
    check, values = corpus(3_000, np.random.default_rng(of_check))
    for name, recipe in MODELS.items():
        print(name, recipe)
        model = pretrain(recipe, tokenizer, texts[: recipe.texts], arguments.seed)
        what_it_knows(model, tokenizer, check, values)
        shutil.rmtree(arguments.out / name, ignore_errors=True)
        model.save_pretrained(arguments.out / name)
        tokenizer.save_pretrained(arguments.out / name)
    for which, (attribute, stream) in enumerate(zip(ATTRIBUTES, of_tasks, strict=True)):
        rows, labels = corpus(TRAIN_ROWS + TEST_ROWS, np.random.default_rng(stream))
        folder = arguments.out / "rows" / f"miniature_{attribute.name}"
        write_rows(folder / "train.jsonl.gz", rows[:TRAIN_ROWS], labels[:TRAIN_ROWS, which])
        write_rows(folder / "test.jsonl.gz", rows[TRAIN_ROWS:], labels[TRAIN_ROWS:, which])


if __name__ == "__main__":
    main()
