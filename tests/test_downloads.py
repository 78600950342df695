"""Downloads: local copies, whole files, and what a failure says. The only server is on this machine."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from mxcompat import downloads


class Server(BaseHTTPRequestHandler):
    """``/short`` ends early, ``/flaky`` fails the first time, ``/none`` is absent; all else answers its own path."""

    calls: list[str] = []

    def do_GET(self) -> None:  # noqa: N802
        first = self.path not in self.calls
        self.calls.append(self.path)
        if self.path == "/none" or (self.path == "/flaky" and first):
            self.send_error(404)
            return
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) + (5 if self.path == "/short" else 0)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Base URL of a server in this process."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", downloads.FOLDER_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Server, "calls", [])
    server = HTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_download(home: str, tmp_path: Path) -> None:
    downloads.fetch(f"{home}/a/file", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "/a/file"


def test_retries(home: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    downloads.fetch(f"{home}/flaky", tmp_path / "out", retries=2)
    assert (tmp_path / "out").read_text() == "/flaky" and len(Server.calls) == 2
    assert capsys.readouterr().out == "download failed, retrying, 1 attempt left\n"
    with pytest.raises(
        downloads.DownloadError, match=r"404.*Place a copy at FOLDER/127\.0\.0\.1/none and set MXCOMPAT_DATA"
    ):
        downloads.fetch(f"{home}/none", tmp_path / "none", retries=0)
    assert Server.calls.count("/none") == 1


def test_a_broken_download_leaves_the_old_file(home: str, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old")
    with pytest.raises(downloads.DownloadError, match=r"after 6 of 11 bytes"):
        downloads.fetch(f"{home}/short", tmp_path / "out", retries=1)
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and (tmp_path / "out").read_text() == "old"


def test_local_copies_come_first(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copies = tmp_path / "copies"
    monkeypatch.setenv(downloads.FOLDER_VARIABLE, str(copies))
    downloads.fetch(f"{home}/a/file", tmp_path / "out")
    assert (copies / "127.0.0.1" / "a" / "file").read_text() == "/a/file"
    downloads.fetch(f"{home}/a/file?token=1", tmp_path / "again")
    assert (tmp_path / "again").read_text() == "/a/file" and len(Server.calls) == 1
    (copies / "other").write_text("by name")
    downloads.fetch("http://gone.example/deep/other", tmp_path / "other")
    assert (tmp_path / "other").read_text() == "by name"


def test_a_url_cannot_lead_out_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(downloads.FOLDER_VARIABLE, str(tmp_path / "copies"))
    (tmp_path / "secret").write_text("")
    assert downloads.local_copy("http://host/../../secret") is None
    assert downloads.local_copy("http://host/%2e%2e/%2e%2e/secret") is None


def test_mirrors_are_checked(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://data.mxnet.io/data/mnist/t10k-labels-idx1-ubyte.gz"
    assert downloads.MIRRORS[url][1] == "ec29112dd5afa0611ce80d1b7f02629c"
    monkeypatch.setitem(downloads.MIRRORS, url, (f"{home}/mirror", "0" * 32))
    with pytest.raises(downloads.DownloadError, match=r"tried http://127.*MD5 sum is"):
        downloads.fetch(url, tmp_path / "out", retries=1)
    assert not list(tmp_path.iterdir())
    monkeypatch.setitem(downloads.MIRRORS, url, (f"{home}/mirror", hashlib.md5(b"/mirror").hexdigest()))
    downloads.fetch(url, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "/mirror"


def test_gone_hosts_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = []

    def refuse(url: str, timeout: float) -> None:
        attempts.append((url, timeout))
        raise OSError("unreachable")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.delenv(downloads.FOLDER_VARIABLE, raising=False)
    with pytest.raises(downloads.DownloadError, match=r"data\.mxnet\.io no longer serves"):
        downloads.fetch("http://data.mxnet.io/models/x.params", tmp_path / "x")
    assert attempts == [("http://data.mxnet.io/models/x.params", downloads.TIMEOUT)]


def test_other_schemes(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("text")
    downloads.fetch((tmp_path / "in").as_uri(), tmp_path / "out")
    assert (tmp_path / "out").read_text() == "text"
    for url in ("ftp://host/x", "x.params", ""):
        with pytest.raises(downloads.DownloadError, match="expected an http"):
            downloads.fetch(url, tmp_path / "x")
