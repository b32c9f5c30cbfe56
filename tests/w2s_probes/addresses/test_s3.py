"""A real S3 server on the loopback: a store goes there and back, and nothing secret is said or written."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.worlds.pushed import KEY_ID, SECRET, assert_same, files_of, round_trip, s3_server, s3_system, small_store
from w2s_probes import ActivationStore, InputError
from w2s_probes.addresses import pull, push
from w2s_probes.cli import main

for needed in ("fsspec", "s3fs", "moto", "flask", "flask_cors"):
    pytest.importorskip(needed)
ALL_SECRET = (SECRET, KEY_ID, "hf_plantedTokenThatNobodyMaySee", "typed/Password")


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server("bucket") as url:
        yield url


@pytest.fixture
def credentials(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HF_TOKEN", ALL_SECRET[2])


@pytest.fixture(scope="module")
def acts(tmp_path_factory: pytest.TempPathFactory) -> ActivationStore:
    return small_store(tmp_path_factory.mktemp("pushed") / "acts", (8, 16), rows=30)


def test_a_store_goes_there_and_comes_back(acts: ActivationStore, tmp_path: Path, s3: str) -> None:
    options = {"key": KEY_ID, "secret": SECRET, "endpoint_url": s3}
    round_trip(acts, "s3://bucket/some/acts", tmp_path / "s3", options)
    with pytest.raises(InputError, match=r"s3://none/acts: .*make its bucket or folder first"):
        push(acts.path, "s3://none/acts", options=options)
    names = s3_system(s3).find("bucket/some/acts")
    assert len(names) == 6
    s3_system(s3).rm_file(next(name for name in names if "layer-008" in name))
    with pytest.raises(InputError, match=r"layer-008.*it is listed there: push it again \([01] of 2 files are here\)"):
        pull("s3://bucket/some/acts", tmp_path / "lost", layers=8, options=options)
    assert push(acts.path, "s3://bucket/some/acts", options=options).sent == 1
    assert pull("s3://bucket/some/acts", tmp_path / "lost", layers=8, options=options).files == 2
    # Named positions, at an address with a space and a letter beyond ASCII.
    small_store(tmp_path / "several" / "end", (8,), rows=10, seed=1)
    small_store(tmp_path / "several" / "claim", (8,), rows=10, seed=2)
    push(tmp_path / "several", "s3://bucket/some acts/é", options=options)
    assert pull("s3://bucket/some acts/é", tmp_path / "here", options=options).files == 2
    assert_same(tmp_path / "here" / "end", ActivationStore.open(tmp_path / "several" / "end"), [8])


def test_nothing_secret_is_said_or_written(
    acts: ActivationStore,
    tmp_path: Path,
    s3: str,
    credentials: None,
    capfd: pytest.CaptureFixture[str],
    w2s: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Keys of the environment, of addresses, and of notes: in no line, card, manifest or file that comes back."""
    noted = small_store(tmp_path / "noted", (8,), rows=10)
    notes = noted.manifest.notes | {
        "command": f"w2s extract --token {ALL_SECRET[2]}",
        "by": f"s3://{KEY_ID}:{SECRET}@b",
    }
    noted.manifest.model_copy(update={"notes": notes}).write(noted.path)
    (tmp_path / "labels.jsonl").write_text('{"id": "a", "label": 1}\n')
    w2s("push", noted.path, "s3://bucket/noted")
    w2s("pull", "s3://bucket/noted", tmp_path / "here", "--layers", "8")
    w2s("push", tmp_path / "labels.jsonl", "s3://bucket/labels/")
    w2s("pull", "s3://bucket/labels/labels.jsonl", tmp_path / "labels-here.jsonl")
    assert (tmp_path / "labels-here.jsonl").read_text() == '{"id": "a", "label": 1}\n'
    assert_same(tmp_path / "here", noted, [8])
    typed = f"{KEY_ID}:{ALL_SECRET[3]}"
    words: list[tuple[str, ...]] = [
        ("push", str(noted.path), f"s3://{typed}@bucket/noted"),
        ("pull", f"s3://{typed}@bucket/noted", str(tmp_path / "x")),
        ("pull", "s3://bucket/noted?token=typed/Password", str(tmp_path / "x")),
        ("pull", f"sftp://{typed}@host/noted", str(tmp_path / "x")),
        ("push", f"s3://{typed}@bucket/acts", "s3://bucket/noted"),
        ("verify", f"s3://{typed}@bucket/acts"),
        ("sweep", f"s3://{typed}@bucket/acts", "labels.jsonl", "--out", "s.csv"),
        ("filter", str(acts.path), f"s3://{typed}@bucket/labels.jsonl", "--layer", "8", "--out", "k.jsonl"),
        ("push", str(noted.path), "s3://bucket/noted", f"s3://{typed}@bucket/more"),
        ("pull", "s3://bucket/none", str(tmp_path / "x")),
        ("push", str(noted.path), f"s3://bucket/{SECRET}?"),
    ]
    for asked in words:
        with pytest.raises(SystemExit) as ended:
            main(list(asked))
        assert ended.value.code == 2, asked
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody is there
    with pytest.raises(SystemExit):
        main(["pull", "s3://bucket/noted", str(tmp_path / "x")])
    said = "".join(capfd.readouterr())
    assert said.count("w2s: ") == len(words) + 1
    system = s3_system(s3)
    written = b"".join(system.cat_file(name) for name in system.find("bucket/noted"))
    written += b"".join(files_of(tmp_path / "here").values())
    assert b"qwen" in written
    for secret in ALL_SECRET:
        assert secret not in said
        assert secret.encode() not in written


def test_without_credentials_it_is_one_line(
    acts: ActivationStore,
    tmp_path: Path,
    credentials: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main(["push", str(acts.path), "s3://bucket/acts"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "w2s: s3://bucket/acts: its manifest.json cannot be read (Unable to locate credentials): no access, or no "
        "credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE\n"
    )
