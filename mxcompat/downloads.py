"""Files by URL: local copies first, mirrors of hosts that are gone, and a whole file or none.

``MXCOMPAT_DATA`` names a folder of local copies: ``http://host/a/b.params`` is looked for as ``host/a/b.params``, then
as ``b.params``. What comes over the network is kept there too, when the variable is set.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from mxcompat.formats.atomic import write_atomically

__all__ = ["DownloadError", "fetch", "local_copy"]
FOLDER_VARIABLE = "MXCOMPAT_DATA"
#: seconds without any data after which a connection is given up
TIMEOUT = 30.0
#: hosts that served data and pretrained models to MXNet's users and no longer do: one attempt is enough
GONE = frozenset({"data.mxnet.io", "data.dmlc.ml", "deeplearning.net", "www.deeplearning.net", "yann.lecun.com"})
_MNIST_HOMES = ("http://data.mxnet.io/data/mnist/", "http://yann.lecun.com/exdb/mnist/")
_MNIST_MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_MNIST_MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
#: URL -> where the same file is now, and its MD5 sum
MIRRORS = {home + name: (_MNIST_MIRROR + name, md5) for home in _MNIST_HOMES for name, md5 in _MNIST_MD5.items()}


class DownloadError(OSError):
    """A file that cannot be had: the message says which, why, and where to place a copy."""


def _place(url: str) -> Path:
    """Where a local copy lies in the folder: host and path, without what could lead out of the folder."""
    parts = urlsplit(url)
    return Path(parts.hostname or "", *[part for part in unquote(parts.path).split("/") if part not in ("", ".", "..")])


def local_copy(url: str) -> Path | None:
    """The file for a URL in the folder that ``MXCOMPAT_DATA`` names; None where there is none."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return None
    place = _place(url)
    candidates = (Path(folder, place), Path(folder, place.name))
    return next((path for path in candidates if path.is_file()), None)


def fetch(url: str, path: str | os.PathLike, retries: int = 5) -> None:
    """Write the file behind ``url`` (http, https, file) to ``path``, replacing it; up to ``retries`` attempts.

    The file appears under its name only when it is complete. Raises ``DownloadError``.
    """
    copy = local_copy(url)
    if copy is None:
        copy = _keep(url, retries)
    if copy is not None:
        with copy.open("rb") as source:
            write_atomically(path, lambda target: shutil.copyfileobj(source, target))
    else:
        _download(url, Path(path), retries)


def _keep(url: str, retries: int) -> Path | None:
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder or urlsplit(url).scheme == "file":
        return None
    kept = Path(folder, _place(url))
    kept.parent.mkdir(parents=True, exist_ok=True)
    _download(url, kept, retries)
    return kept


def _download(url: str, path: Path, retries: int) -> None:
    if urlsplit(url).scheme not in ("http", "https", "file"):
        raise DownloadError(f"cannot download {url!r}: expected an http, https or file URL")
    mirror, md5 = MIRRORS.get(url, (url, None))
    attempts = 1 if urlsplit(mirror).hostname in GONE else max(1, retries)
    for left in reversed(range(attempts)):
        try:
            write_atomically(path, lambda target: _receive(mirror, target, md5))
            return
        except (OSError, HTTPException, ValueError) as error:
            if not left:
                raise DownloadError(_explain(url, mirror, error)) from error
            print(f"download failed, retrying, {left} attempt{'s' if left > 1 else ''} left")


def _explain(url: str, mirror: str, error: Exception) -> str:
    host = urlsplit(mirror).hostname
    why = f"{url} cannot be downloaded" + (f" (tried {mirror})" if mirror != url else "") + f": {error}"
    if host in GONE:
        why += f". The host {host} no longer serves MXNet's files"
    folder = os.environ.get(FOLDER_VARIABLE)
    where = str(Path(folder, _place(url))) if folder else f"FOLDER/{_place(url).as_posix()}"
    return f"{why}. Place a copy at {where}" + ("" if folder else f" and set {FOLDER_VARIABLE}=FOLDER")


def _receive(url: str, target: IO[bytes], md5: str | None) -> None:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
        expected = answer.headers.get("Content-Length")
        digest: Any = hashlib.md5(usedforsecurity=False)
        size = 0
        while block := answer.read(1 << 16):
            target.write(block)
            digest.update(block)
            size += len(block)
    if expected is not None and size != int(expected):
        raise OSError(f"the connection ended after {size} of {expected} bytes")
    if md5 is not None and digest.hexdigest() != md5:
        raise OSError(f"MD5 sum is {digest.hexdigest()}, expected {md5}")
