"""The hub, by a stand-in at the wire: commits, a private repository, a dataset card, and no token in sight."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.hub import TOKEN, Hub, stand_in_hub
from tests.worlds.pushed import assert_same, round_trip, small_store
from w2s_probes import ActivationStore, InputError
from w2s_probes.addresses import pull, push

pytest.importorskip("fsspec")
pytest.importorskip("huggingface_hub", minversion="2.0")  # older ones know no address but the hub's own in answers
constants = pytest.importorskip("huggingface_hub.constants")
yaml = pytest.importorskip("yaml")
# huggingface_hub gives bytes to its client in a way that this one is to drop some day.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with stand_in_hub() as hub:
        yield hub


def options(hub: Hub, **more: Any) -> dict[str, Any]:
    return {"endpoint": hub.url, "token": TOKEN} | more


@pytest.fixture(scope="module")
def acts(tmp_path_factory: pytest.TempPathFactory) -> ActivationStore:
    return small_store(tmp_path_factory.mktemp("pushed") / "acts")


def test_a_store_goes_there_in_a_commit_a_layer_and_comes_back(acts: ActivationStore, hub: Hub, tmp_path: Path) -> None:
    round_trip(acts, "hf://datasets/me/acts", tmp_path / "here", options(hub))
    assert hub.commits == ["Layer 0", "Layer 8", "Layer 16", "Card and manifest: the store is whole"]
    assert hub.visibility == {"datasets/me/acts": "private"}
    assert hub.uploads == 9
    card = hub.repositories["datasets/me/acts"]["README.md"].decode()
    front = yaml.safe_load(card.split("---\n")[1])
    assert front == {
        "pretty_name": "Activations of qwen",
        "tags": ["activations", "interpretability", "w2s-probes"],
        "viewer": False,
    }
    assert "w2s pull hf://datasets/me/acts acts --layers 8" in card
    # A folder in a repository of models, which is there already.
    round_trip(acts, "hf://me/model/some/acts", tmp_path / "there", options(hub))
    assert "me/model" in hub.repositories
    assert pull("hf://models/me/model@main/some/acts", tmp_path / "there", options=options(hub)).sent == 0
    assert push(acts.path, "hf://datasets/me/acts@main", options=options(hub)).sent == 0
    # Another store in its place: the old files go.
    other = small_store(tmp_path / "other", seed=1)
    with pytest.raises(InputError, match="holds another store"):
        push(other.path, "hf://datasets/me/acts", options=options(hub))
    push(other.path, "hf://datasets/me/acts", options=options(hub), force=True)
    names = set(hub.repositories["datasets/me/acts"])
    assert len(names) == 9 + 3
    pull("hf://datasets/me/acts", tmp_path / "new", options=options(hub))
    assert_same(tmp_path / "new", other, [0, 8, 16])


def test_named_positions_go_there_as_stores_under_a_card_of_their_own(hub: Hub, tmp_path: Path) -> None:
    stores = {name: small_store(tmp_path / "acts" / name, (8,), rows=10, seed=len(name)) for name in ("end", "claim")}
    for address in ("hf://datasets/me/acts", "hf://datasets/me/acts@main/some/folder"):
        push(tmp_path / "acts", address, options=options(hub))
        assert push(tmp_path / "acts", address, options=options(hub)).sent == 0
        here = tmp_path / f"from-{address[-4:]}"
        pull(f"{address}/end", here / "alone", options=options(hub))
        assert pull(address, here / "all", options=options(hub)).files == 2
        for name, store in stores.items():
            assert_same(here / "all" / name, store, [8])
    card = hub.repositories["datasets/me/acts"]["README.md"].decode()
    assert yaml.safe_load(card.split("---\n")[1])["tags"] == ["activations", "interpretability", "w2s-probes"]
    assert "2 stores" in card


def test_files_and_folders_go_there_in_one_commit(hub: Hub, tmp_path: Path) -> None:
    report = tmp_path / "report"
    (report / "sub").mkdir(parents=True)
    (report / "index.html").write_text("<p>")
    (report / "sub" / "a.csv").write_text("a\n")
    push(report, "hf://datasets/me/more/report", options=options(hub))
    assert hub.commits == ["Files and their checksums"]
    pull("hf://datasets/me/more/report", tmp_path / "here", options=options(hub))
    assert (tmp_path / "here" / "sub" / "a.csv").read_text() == "a\n"
    push(report / "index.html", "hf://datasets/me/more/one.html", options=options(hub))
    pull("hf://datasets/me/more/one.html", tmp_path / "one.html", options=options(hub))
    assert (tmp_path / "one.html").read_text() == "<p>"


def test_a_push_that_the_hub_breaks_off_is_gone_on_with_and_says_no_token(
    acts: ActivationStore, hub: Hub, tmp_path: Path
) -> None:
    """Uploads fail after the fourth, with the token in the server's own words; then all is well again."""
    hub.fail_after = 4
    said = []
    with pytest.raises(InputError, match="the files were not brought over") as refused:
        push(acts.path, "hf://datasets/me/acts", options=options(hub))
    said.append(str(refused.value))
    with pytest.raises(InputError, match=r"holds 3 files of a store but no manifest.json") as refused:
        pull("hf://datasets/me/acts", tmp_path / "here", options=options(hub))
    hub.fail_after = None
    assert push(acts.path, "hf://datasets/me/acts", options=options(hub)).sent == 6
    assert len(hub.objects) == 9  # what had come over before the commit was not sent again
    pull("hf://datasets/me/acts", tmp_path / "here", options=options(hub))
    assert_same(tmp_path / "here", acts, [0, 8, 16])
    for token in ("hf_wrongButSecret01", "hf_wrongButSecret01\n", False):
        with pytest.raises(InputError) as refused:
            push(acts.path, "hf://datasets/me/acts", options=options(hub, token=token))
        said.append(str(refused.value))
    assert [line for line in said if "log in with `hf auth login`, or set HF_TOKEN" not in line] == [said[2]]
    assert not any(TOKEN in line or "wrongButSecret" in line for line in said)
    with pytest.raises(InputError, match="nothing there"):
        pull("hf://datasets/me/none", tmp_path / "x", options=options(hub))
    with pytest.raises(InputError, match=r"nothing there|not a repository's address"):
        pull("hf://datasets/me", tmp_path / "x", options=options(hub))
    constants.HF_HUB_OFFLINE = True
    with pytest.raises(InputError, match="unset HF_HUB_OFFLINE"):
        pull("hf://datasets/me/acts", tmp_path / "x", options=options(hub))
