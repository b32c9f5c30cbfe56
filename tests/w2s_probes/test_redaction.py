"""What is secret is unreadable in a text, and what is not stays."""

import subprocess
import sys

import pytest

from w2s_probes.redaction import redacted


def test_secrets_go_and_all_else_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush/hush+hush")
    monkeypatch.setenv("MY_TOKEN", "two-lines\nof-a-token\n")
    monkeypatch.setenv("SHORT_TOKEN", "acts")
    monkeypatch.setenv("HF_TOKEN_PATH", "/root/place")
    gone = {
        "key hush/hush+hush is wrong": "key *** is wrong",
        "b'Bearer two-lines'": "b'Bearer ***'",
        "of-a-token": "***",
        "s3://key:se/cr:et@bucket/acts": "s3://***@bucket/acts",
        "s3:/key:secret@bucket/acts: no such store": "s3:/***@bucket/acts: no such store",
        "https://host/acts?token=abc&X-Amz-Signature=1f and": "https://host/acts?token=***&X-Amz-Signature=*** and",
        "hf_abcdefghijklmnopqrstuvwxyz is": "*** is",
        "Authorization: Basic dXNlcjpwYXNzd29yZA1=": "Authorization: Basic ***",
        "AKIAABCDEFGHIJKLMNOP": "***",
        "given-by-caller": "***",
    }
    assert {text: redacted(text, ["given-by-caller"]) for text in gone} == gone
    kept = (
        "acts: no such store",
        "/root/place/acts",
        "hf://datasets/me/acts@main/acts: layer 3 not there; it holds 0, 8",
        "http://127.0.0.1:9000/bucket",
        "https://host/a?b",
        "s3://bucket/a@b:c/acts",
        "what? label=1",
        "store.hf_datasets, basic arithmetic, Basic settings-of-rows and a bearer certificate",
    )
    assert [redacted(text) for text in kept] == list(kept)


def test_a_traceback_of_a_command_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hush-hush-hush")
    fails = """
import sys
from w2s_probes import cli
def fails(words):
    raise KeyError("hush-hush-hush at https://host/acts?X-Amz-Signature=1f2e")
cli._run, sys.argv = fails, ["w2s", "verify"]
cli.main()
"""
    done = subprocess.run([sys.executable, "-c", fails], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert "KeyError: '*** at https://host/acts?X-Amz-Signature=***'" in done.stderr
    assert "hush-hush" not in done.stderr
    assert "1f2e" not in done.stderr
