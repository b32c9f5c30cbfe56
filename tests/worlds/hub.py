"""A stand-in of the Hugging Face hub at the wire: repositories in memory, what huggingface_hub's client asks of it.

It speaks what the client uses for repositories, trees, files by range, LFS objects in one part, and commits. It does
not speak Xet, which the client is told to leave out, nor LFS in several parts.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_plantedTokenThatNobodyMaySee0123"


@dataclass
class Hub:
    """What the hub holds, and how often files were sent to it."""

    url: str = ""
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)  # "datasets/me/acts": files by name
    visibility: dict[str, str] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)  # of LFS, by SHA-256
    commits: list[str] = field(default_factory=list)
    uploads: int = 0
    fail_after: int | None = None  # uploads; those that follow are answered by 500


def _oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: Any) -> None:
        """Say nothing on stderr."""

    def _reply(self, status: int, value: Any = None, body: bytes | None = None, **headers: str) -> None:
        data = body if body is not None else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _missing(self, code: str) -> None:
        self._reply(404, {"error": code}, X_Error_Code=code, X_Error_Message=code)

    def _content(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _route(self) -> None:
        path, content = unquote(urlsplit(self.path).path), self._content()
        if path.startswith("/lfs/"):  # a signed address: it needs no token
            self.hub.uploads += 1
            if self.hub.fail_after is not None and self.hub.uploads > self.hub.fail_after:
                self._reply(403, {"error": f"signature of {self.headers.get('Authorization')} {TOKEN} has expired"})
                return
            self.hub.objects[path.removeprefix("/lfs/")] = content
            self._reply(200, {})
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            said = f"Invalid credentials in {self.headers.get('Authorization')}"
            self._reply(401, {"error": said}, X_Error_Message=said)
        elif path == "/api/validate-yaml":
            self._reply(200, {"errors": [], "warnings": []})
        elif path == "/api/repos/create":
            self._create(json.loads(content))
        elif batch := re.fullmatch(r"/(?P<repo>(?:datasets/)?[^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            self._batch(json.loads(content), batch["repo"])
        elif found := re.fullmatch(r"/api/(?P<repo>(models|datasets)/[^/]+/[^/]+)(?P<rest>/.*)?", path):
            self._api(found["repo"].removeprefix("models/"), found["rest"] or "", content)
        elif file := re.fullmatch(r"/(?P<repo>(?:datasets/)?[^/]+/[^/]+)/resolve/main/(?P<name>.+)", path):
            self._file(file["repo"], file["name"])
        else:
            self._missing("EntryNotFound")

    do_GET = do_HEAD = do_POST = do_PUT = _route

    def _create(self, wanted: dict[str, Any]) -> None:
        prefix = "datasets/" if wanted.get("type") == "dataset" else ""
        name = f"{prefix}{wanted['organization']}/{wanted['name']}"
        status = 409 if name in self.hub.repositories else 200
        if status == 200:
            self.hub.repositories[name] = {".gitattributes": b"*.h5 filter=lfs diff=lfs merge=lfs -text\n"}
            self.hub.visibility[name] = wanted.get("visibility", "private" if wanted.get("private") else "public")
        self._reply(status, {"url": f"{self.hub.url}/{name}", "error": "You already created this repository"})

    def _batch(self, wanted: dict[str, Any], repo: str) -> None:
        objects = []
        for item in wanted["objects"]:
            upload = {"upload": {"href": f"{self.hub.url}/lfs/{item['oid']}", "header": {}}}
            there = item["oid"] in self.hub.objects
            objects.append({**item} if there else {**item, "actions": upload})
        self._reply(200, {"transfer": "basic", "objects": objects})

    def _api(self, repo: str, rest: str, content: bytes) -> None:
        files = self.hub.repositories.get(repo)
        if files is None:
            self._missing("RepoNotFound")
        elif rest == "" or rest.startswith("/revision/"):
            about = {"id": repo.removeprefix("datasets/"), "sha": "0" * 40, "private": True, "siblings": []}
            self._reply(200, about | {"tags": [], "downloads": 0, "likes": 0, "author": "me"})
        elif rest.startswith("/preupload/"):
            answers = [self._mode(item, files) for item in json.loads(content)["files"]]
            self._reply(200, {"files": answers})
        elif rest.startswith("/tree/"):
            self._tree(files, "/".join(rest.split("/")[3:]))
        elif rest.startswith("/paths-info/"):
            asked = json.loads(content)["paths"] if content[:1] == b"{" else parse_qs(content.decode())["paths"]
            self._reply(200, [self._entry(name, files[name]) for name in asked if name in files])
        elif rest.startswith("/commit/"):
            self._commit(repo, files, [json.loads(line) for line in content.splitlines()])
        else:
            self._missing("EntryNotFound")

    def _mode(self, item: dict[str, Any], files: dict[str, bytes]) -> dict[str, Any]:
        there, lfs = files.get(item["path"]), item["path"].endswith(".h5")
        oid = None if there is None else hashlib.sha256(there).hexdigest() if lfs else _oid(there)
        return {"path": item["path"], "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False, "oid": oid}

    def _entry(self, name: str, content: bytes) -> dict[str, Any]:
        return {"type": "file", "path": name, "size": len(content), "oid": _oid(content)}

    def _tree(self, files: dict[str, bytes], folder: str) -> None:
        prefix = f"{folder}/" if folder else ""
        below = {name: content for name, content in files.items() if name.startswith(prefix)}
        if folder and not below:
            self._missing("EntryNotFound")
            return
        recursive = "recursive=true" in self.path.lower()
        entries: list[dict[str, Any]] = []
        folders: set[str] = set()
        for name, content in below.items():
            parts = name.removeprefix(prefix).split("/")
            folders |= {prefix + "/".join(parts[:depth]) for depth in range(1, len(parts))}
            if recursive or len(parts) == 1:
                entries.append(self._entry(name, content))
        shown = folders if recursive else {path for path in folders if "/" not in path.removeprefix(prefix)}
        entries += [{"type": "directory", "path": path, "size": 0, "oid": "0" * 40} for path in sorted(shown)]
        self._reply(200, entries)

    def _commit(self, repo: str, files: dict[str, bytes], lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.hub.commits.append(value["summary"])
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        self._reply(200, {"commitUrl": f"{self.hub.url}/{repo}/commit/{'1' * 40}", "commitOid": "1" * 40})

    def _file(self, repo: str, name: str) -> None:
        files = self.hub.repositories.get(repo)
        if files is None or name not in files:
            self._missing("RepoNotFound" if files is None else "EntryNotFound")
            return
        content, about = files[name], {"ETag": f'"{_oid(files[name])}"', "X_Repo_Commit": "0" * 40}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not asked:
            self._reply(200, body=content, **about)
            return
        start, stop = int(asked[1]), min(int(asked[2]) + 1 if asked[2] else len(content), len(content))
        about["Content_Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        self._reply(206, body=content[start:stop], **about)


@contextmanager
def stand_in_hub() -> Iterator[Hub]:
    """A hub on the loopback, for as long as the block lasts."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
