"""Addresses with a slip of the pen: nothing secret is said again, and what to do is said."""

from pathlib import Path

import pytest

from w2s_probes import InputError
from w2s_probes.addresses.address import Address

pytest.importorskip("fsspec")


@pytest.mark.parametrize(
    "text",
    [
        "KEY:planted@bucket/acts",
        "s3//KEY:planted@bucket/acts",
        "s3:/KEY:planted@bucket/acts",
        "s3:://KEY:plan/ted@bucket/acts",
        "s3://bucket/acts;token=planted",
        "s3://bucket/acts#secret_key=planted",
        "https://host/acts&X-Auth=planted",
    ],
)
def test_a_secret_in_a_mistyped_address_is_not_said_again(text: str) -> None:
    with pytest.raises(InputError) as refused:
        Address.of(text)
    assert "planted" not in str(refused.value)
    assert "ted@" not in str(refused.value)


def test_a_folder_here_whose_name_looks_like_a_password_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "run:3" / "me@home"
    folder.mkdir(parents=True)
    with pytest.raises(InputError, match=rf"a folder here is file://{folder}$"):
        Address.of(folder)
    for harmless in ("s3://bucket/acts;v=1", "hf://datasets/me/acts@main"):
        assert str(Address.of(harmless)) == harmless


@pytest.mark.parametrize("text", ["s3x://bucket/acts", "FILE:///tmp/acts"])
def test_an_unknown_kind_of_address_comes_with_a_remedy(text: str) -> None:
    with pytest.raises(InputError, match=r"cannot be opened \(Protocol not known.*\): correct the address"):
        Address.of(text).open()
