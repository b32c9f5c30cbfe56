"""Labels and reports at addresses: they come back as they were, or are refused; `sha256sum` reads their lists."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.worlds.pushed import small_store
from w2s_probes import InputError
from w2s_probes.addresses import pull, push
from w2s_probes.addresses.remote_folder import RemoteFolder

pytest.importorskip("fsspec")


@pytest.fixture
def report(tmp_path: Path) -> Path:
    folder = tmp_path / "report"
    (folder / "figures").mkdir(parents=True)
    (folder / "index.html").write_text("<p>ü</p>")
    (folder / "figures" / "a b.csv").write_text("a,b\n")
    (folder / ".env").write_text("TOKEN=planted")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("secret")
    return folder


def below(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_a_file_goes_to_its_address_or_into_a_folder_and_comes_back(tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    labels.write_text('{"id": "a", "label": 1}\n')
    for address in (f"file://{tmp_path}/there/weak.jsonl", "memory://there/weak.jsonl"):
        assert push(labels, address).sent == 1
        assert push(labels, address).sent == 0
        here = tmp_path / "here" / address[:4] / "weak.jsonl"
        assert pull(address, here).sent == 1
        assert pull(address, here).sent == 0
        assert pull(address, here.parent).sent == 0  # a folder that is there: under its own name
        assert here.read_bytes() == labels.read_bytes()
    push(labels, f"file://{tmp_path}/into/")
    assert (tmp_path / "into" / "labels.jsonl").is_file()
    assert (tmp_path / "into" / "labels.jsonl.sha256").read_text() == (
        f"{hashlib.sha256(labels.read_bytes()).hexdigest()}  labels.jsonl\n"
    )
    labels.write_text('{"id": "a", "label": 0}\n')
    with pytest.raises(InputError, match=r"holds other files \('labels.jsonl'\).*--force"):
        push(labels, f"file://{tmp_path}/into/")
    with pytest.raises(InputError, match=r"exists with other content"):
        pull(f"file://{tmp_path}/into/labels.jsonl", labels)
    assert push(labels, f"file://{tmp_path}/into/", force=True).sent == 1
    assert pull(f"file://{tmp_path}/into/labels.jsonl", here, force=True).sent == 1
    assert here.read_bytes() == labels.read_bytes()
    (tmp_path / "into" / "labels.jsonl").write_text('{"id": "a", "label": 2}\n')  # as long, and another
    with pytest.raises(InputError, match=r"labels.jsonl: its checksum is not the one listed"):
        pull(f"file://{tmp_path}/into/labels.jsonl", tmp_path / "new.jsonl")
    assert not (tmp_path / "new.jsonl").exists()


def test_a_folder_goes_without_what_is_hidden_and_comes_back(report: Path, tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    assert push(report, f"file://{there}").sent == 2
    assert push(report, f"file://{there}").sent == 0
    assert below(there).keys() == {"index.html", "figures/a b.csv", "SHA256SUMS"}
    assert (
        subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=there, capture_output=True, check=False).returncode
        == 0
    )
    assert pull(f"file://{there}", here).sent == 2
    assert pull(f"file://{there}", here).sent == 0
    assert below(here) == {name: content for name, content in below(report).items() if not name.startswith(".")}
    (here / "index.html").write_text("mine")
    with pytest.raises(InputError, match=r"exists with other content"):
        pull(f"file://{there}", here)
    # A folder that something else has put there is taken as it is.
    (there / "SHA256SUMS").unlink()
    assert pull(f"file://{there}", tmp_path / "plain").sent == 2
    assert pull(f"file://{there}", tmp_path / "plain").sent == 0
    (report / "index.html").write_text("<p>u</p>!")
    with pytest.raises(InputError, match=r"holds other files \('index.html'\)"):
        push(report, f"file://{there}")
    assert (there / "index.html").read_text() == "<p>ü</p>"
    shutil.rmtree(report / "figures")
    push(report, f"file://{there}", force=True)
    assert pull(f"file://{there}", tmp_path / "mended").files == 1
    (there / "index.html").write_text("<p>x</p>!")  # as long, and damaged: only `force` looks again
    with pytest.raises(InputError, match="push it again with --force"):
        pull(f"file://{there}", tmp_path / "damaged")
    assert push(report, f"file://{there}").sent == 0
    assert push(report, f"file://{there}", force=True).sent == 1
    assert pull(f"file://{there}", tmp_path / "new").files == 1


def test_half_a_folder_is_not_taken_for_a_whole_one(
    report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, calls = RemoteFolder.put, []

    def failing(self: RemoteFolder, files: dict[str, Path], message: str) -> None:
        calls.append(message)
        if len(calls) == 3:
            raise InputError("the line broke")
        usual(self, files, message)

    monkeypatch.setattr(RemoteFolder, "put", failing)
    with pytest.raises(InputError, match="the line broke"):
        push(report, f"file://{tmp_path}/there")
    with pytest.raises(InputError, match="a push there has not come to its end"):
        pull(f"file://{tmp_path}/there", tmp_path / "here")
    assert push(report, f"file://{tmp_path}/there").sent == 1
    assert pull(f"file://{tmp_path}/there", tmp_path / "here").sent == 2
    (tmp_path / "there" / "index.html").unlink()
    with pytest.raises(InputError, match=r"'index.html' is in its SHA256SUMS, but not there"):
        pull(f"file://{tmp_path}/there", tmp_path / "again")


def test_a_list_cannot_lead_out_of_the_folder(report: Path, tmp_path: Path) -> None:
    push(report, f"file://{tmp_path}/there")
    (tmp_path / "secret").write_text("x")
    lines = (tmp_path / "there" / "SHA256SUMS").read_text()
    for name in ("../secret", "/etc/passwd", ".bashrc", "a/../../b"):
        (tmp_path / "there" / "SHA256SUMS").write_text(f"{lines}{'0' * 64}  {name}\n")
        with pytest.raises(InputError, match=r"is no name of a file in a folder|but not there"):
            pull(f"file://{tmp_path}/there", tmp_path / "here")
    (tmp_path / "there" / "SHA256SUMS").write_text("rubbish\n")
    with pytest.raises(InputError, match="not a list of checksums"):
        pull(f"file://{tmp_path}/there", tmp_path / "here")
    assert not (tmp_path / "here").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no files to push"):
        push(tmp_path / "empty", f"file://{tmp_path}/more")


def test_files_folders_and_stores_do_not_take_each_others_places(report: Path, tmp_path: Path) -> None:
    small_store(tmp_path / "acts", (8,), rows=10)
    kinds = {"store": tmp_path / "acts", "folder": report, "file": report / "index.html"}
    said = {
        ("store", "file"): "is a file there",
        ("folder", "file"): "is a file there",
        ("file", "store"): "store: is a folder there, and .* a file: give .*store/ to have it put into that",
        ("file", "folder"): "folder: is a folder there, and .* a file: give .*folder/ to have it put into that",
        ("file", "empty"): "empty: is a folder there, and .* a file",
        ("store", "folder"): "holds files pushed as such",
        ("folder", "store"): "holds a store",
    }
    for base in (f"file://{tmp_path}/there", "memory://kinds"):
        for name, place in kinds.items():
            push(place, f"{base}/{name}")
        (tmp_path / "there" / "empty").mkdir(exist_ok=True)
        before = below(tmp_path / "there")
        for (new, old), line in said.items():
            for force in (False, True):
                if old != "empty" or base.startswith("file"):
                    with pytest.raises(InputError, match=line):
                        push(kinds[new], f"{base}/{old}", force=force)
        assert below(tmp_path / "there") == before


@pytest.mark.parametrize(
    "name", ["manifest.json", "stores.json", "SHA256SUMS", "SHA256SUMS.unfinished", "shard-00000-0123456789abcdef.h5"]
)
@pytest.mark.parametrize("force", [False, True])
def test_a_single_file_never_takes_the_name_of_what_a_store_is_known_by(tmp_path: Path, name: str, force: bool) -> None:
    small_store(tmp_path / "acts")
    address = f"file://{tmp_path}/there"
    push(tmp_path / "acts", address)
    before = below(tmp_path / "there")
    (tmp_path / name).write_text("{}")
    (tmp_path / "other.json").write_text("{}")
    for source, place in ((name, f"{address}/"), ("other.json", f"{address}/{name}")):
        with pytest.raises(InputError, match=rf"there/{name}: {name} is the name of a file that a store"):
            push(tmp_path / source, place, force=force)
    assert below(tmp_path / "there") == before
    assert pull(address, tmp_path / "back").sent > 0


@pytest.mark.parametrize("inside", ["", "/more", "/figures/there"])
def test_nothing_is_pushed_to_where_it_lies_or_into_itself(report: Path, inside: str) -> None:
    """A store's notes would lose the paths that `w2s repair` reads, and a folder would hold itself again."""
    store = small_store(report.parent / "acts")
    (report.parent / "link").symlink_to(report)
    for place in (report, report.parent / "link", store.path):
        before = below(place)
        with pytest.raises(InputError, match=r"itself, or lies in it: give an address outside of it"):
            push(place, f"file://{place}{inside}", force=True)
        assert below(place) == before
    with pytest.raises(InputError, match="itself"):
        push(report / "index.html", f"file://{report.parent}/link/index.html")
    push(report, f"file://{report}-2")
