"""What is secret is unreadable in a text, and what is not stays."""

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
        "hf_abcdefghijklmnop is": "*** is",
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
    )
    assert [redacted(text) for text in kept] == list(kept)
