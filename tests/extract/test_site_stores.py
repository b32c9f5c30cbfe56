"""Stores of other sites than the residual stream: their keys, what goes on with them, and who refuses to read them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from analyses.saliency.token_reader import TokenReader
from extract.adding import add
from extract.extractor import Extraction
from extract.models.loading import Placement
from extract.repair import repair
from extract.site import site_of_identity
from tests.conftest import shard_file
from w2s_probes import ActivationStore, InputError
from w2s_probes.io.tables import write_table

Checkpoint = Callable[..., Path]
CPU = Placement("cpu")
SITES = ("residual", "attention", "mlp", "logits:w3,#4,w7")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, checkpoint: Checkpoint) -> Path:
    """A folder with a model, rows, and a store of each site."""
    folder = tmp_path_factory.mktemp("sites")
    shutil.copytree(checkpoint(), folder / "model")
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{j}" for j in rng.integers(0, 40, size=rng.integers(1, 20))) for _ in range(12)]
    table = pd.DataFrame({"id": [f"row-{i}" for i in range(12)], "text": texts})
    write_table(table, folder / "rows.jsonl")
    notes = {"rows_from": [str(folder / "rows.jsonl")]}
    for site in SITES:
        plan = Extraction.plan(str(folder / "model"), table, site=site)
        plan.run(folder / site.partition(":")[0], placement=CPU, notes=notes)
    return folder


def rows_of(place: Path) -> pd.DataFrame:
    return pd.read_json(place / "rows.jsonl", lines=True)


def test_parts_add_up_and_logits_are_the_models_own(place: Path) -> None:
    stores = {name.partition(":")[0]: ActivationStore.open(place / name.partition(":")[0]) for name in SITES}
    assert [stores[name].layers for name in stores] == [[0, 1, 2, 3], [1, 2, 3], [1, 2, 3], [0, 1, 2, 3]]
    for layer in (1, 2, 3):
        whole = stores["residual"].layer(layer - 1) + stores["attention"].layer(layer) + stores["mlp"].layer(layer)
        np.testing.assert_allclose(whole, stores["residual"].layer(layer), atol=1e-6)
    model = AutoModelForCausalLM.from_pretrained(place / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(place / "model")
    with torch.no_grad():
        own = [model(**tokenizer(text, return_tensors="pt")).logits[0, -1] for text in rows_of(place)["text"]]
    chosen = [7, 4, 11]  # w3, the id 4, and w7
    np.testing.assert_allclose(stores["logits"].layer(3), torch.stack(own)[:, chosen].numpy(), atol=1e-6)
    assert stores["logits"].manifest.notes["logits_of"] == {"w3": 7, "w0": 4, "w7": 11}
    assert stores["mlp"].manifest.notes["site_modules"] == ["mlp"]
    assert stores["attention"].manifest.sites[2] == "attention of layers.1"


def test_a_site_is_in_the_key_and_the_stream_has_the_key_that_it_always_had(place: Path) -> None:
    manifests = {name: json.loads((place / name / "manifest.json").read_text()) for name in ("mlp", "logits")}
    identities = {name: manifest["identity"] for name, manifest in manifests.items()}
    assert (identities["mlp"]["site"], identities["logits"]["site"]) == ("mlp", "logits:#7,#4,#11")
    assert site_of_identity(identities["logits"]).tokens == (7, 4, 11)
    assert "site" not in ActivationStore.open(place / "residual").manifest.identity
    for site, spelled in (("attention", "attention"), ("logits:w3", "logits:#7")):
        plan = Extraction.plan(str(place / "model"), rows_of(place), layers=[1, 2, 3], site=site)
        with pytest.raises(InputError, match=rf"holds other activations \(site: 'mlp' in the store, '{spelled}' asked"):
            plan.run(place / "mlp", placement=CPU)
    by_ids = Extraction.plan(str(place / "model"), rows_of(place), site="logits:#7,#4,#11")
    assert by_ids.key == ActivationStore.open(place / "logits").key


@pytest.mark.parametrize("site", ["mlp", "logits"])
def test_a_site_is_added_to_and_repaired_as_it_was_made(place: Path, tmp_path: Path, site: str) -> None:
    spelled = next(name for name in SITES if name.startswith(site))
    table = rows_of(place)
    notes = {"rows_from": [str(place / "rows.jsonl")]}
    first = Extraction.plan(str(place / "model"), table[:5].reset_index(drop=True), layers=[2], site=spelled)
    first.run(tmp_path / "acts", placement=CPU, notes=notes)
    more = Extraction.plan(str(place / "model"), table, site=spelled)
    added = add(more, tmp_path / "acts", placement=CPU, notes=notes)
    assert added is not None
    whole = ActivationStore.open(place / site)
    assert added.key == whole.key
    for layer in whole.layers:
        np.testing.assert_allclose(added.layer(layer, ids=whole.ids), whole.layer(layer), atol=1e-6)
    file = shard_file(tmp_path / "acts")
    before = file.read_bytes()
    file.write_bytes(before[:200])
    repair(tmp_path / "acts", placement=CPU)
    assert shard_file(tmp_path / "acts").read_bytes() == before


@pytest.mark.parametrize(
    ("site", "layers", "said"),
    [
        ("attn", "all", "site 'attn': did you mean 'attention'"),
        ("mlp:w1", "all", "site 'mlp:w1': mlp has no tokens: give --site mlp"),
        ("logits", "all", "site 'logits': say which tokens, such as logits:yes,no"),
        ("logits:w1,,w2", "all", "say which tokens"),
        ("logits:w1,#44", "all", r"site logits: token #44, and .* knows 44, from 0"),
        ("logits:w1,#5", "all", "site logits: 'w1' and '#5' are one token: name it once"),
        ("logits:w1 w2", "all", r"site logits: 'w1 w2' is no token of .*, which reads 'w2': give #ID"),
        ("logits:nowhere", "all", "site logits: 'nowhere' is not in its vocabulary"),
        ("mlp", "0-2", "layer 0 is the embedding output, which has no site mlp: give --layers from 1 to 3"),
    ],
)
def test_sites_that_cannot_be_are_refused_when_planned(place: Path, site: str, layers: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Extraction.plan(str(place / "model"), rows_of(place), site=site, layers=layers)


def test_a_model_without_the_site_is_refused_and_nothing_is_written(
    checkpoint: Checkpoint, rows: pd.DataFrame, tmp_path: Path
) -> None:
    said = {"attention": "BertModel: block 0 of encoder.layer: what it adds", "logits:w1": "no language-model head"}
    for site, line in said.items():
        with pytest.raises(InputError, match=line):
            Extraction.plan(str(checkpoint("bert")), rows, site=site).run(tmp_path / "acts", placement=CPU)
    assert not (tmp_path / "acts").exists()


def test_what_reads_texts_again_reads_the_stream_alone(place: Path, fails: Callable[..., str]) -> None:
    rows: list[Any] = ["--rows", place / "rows.jsonl"]
    model = place / "model"
    stream = "reads the residual stream alone"
    held = f"mlp: holds last, mlp: give w2s doctor {place / 'mlp'} --model {model} --rows ROWS"
    assert held in fails("doctor", model, "--store", place / "mlp", *rows)
    assert stream in fails("extract", "some/model", *rows, "--site", "mlp", "--remote", "--out", place / "o")
    with pytest.raises(InputError, match=f"mlp, and saliency of tokens {stream}"):
        TokenReader.open(str(model), ActivationStore.open(place / "mlp"))


def test_the_command_says_which_tokens_it_reads(
    place: Path, tmp_path: Path, w2s: Callable[..., None], capsys: Any
) -> None:
    call = ["extract", place / "model", "--rows", place / "rows.jsonl", "--out", tmp_path / "acts"]
    w2s(*call, "--site", "logits:w3,#4,w7", "--position", "all", "--layers", "-1")
    said = capsys.readouterr()
    assert "logits of 'w3' (#7), 'w0' (#4), 'w7' (#11)" in said.out + said.err
    tokens = ActivationStore.open(tmp_path / "acts").tokens(3)
    last = tokens.values[tokens.offsets[1:] - 1]
    np.testing.assert_allclose(last, ActivationStore.open(place / "logits").layer(3), atol=1e-6)
