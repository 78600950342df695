"""Recordings of ``record.py`` as files: what is in a folder, and its arrays."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mxcompat.migrate import CommandError
from mxcompat.regression.record import FORMAT, digest

__all__ = ["Recording", "find_recordings"]


class Recording:
    """A folder with a recording. ``meta`` is the content of ``meta.json``; arrays are read when they are asked for.

    ``CommandError`` for a folder without a recording, one of another format, or damaged files.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        try:
            self.meta: dict[str, Any] = json.loads(self._read("meta.json"))
        except ValueError as error:
            raise CommandError(f"{self.folder / 'meta.json'}: {error}") from None
        if not isinstance(self.meta, dict) or self.meta.get("format") != FORMAT:
            found = self.meta.get("format") if isinstance(self.meta, dict) else None
            raise CommandError(f"{self.folder / 'meta.json'}: expected a recording of format {FORMAT}, found {found}")
        try:
            self.symbols = [self._checked(entry).decode("utf-8") for entry in self.meta["symbols"]]
            content = self._checked(self.meta["arrays"])
            self.executors, self.optimizers = self.meta["executors"], self.meta["optimizers"]
            self.steps, self.sample = self.meta["steps"], int(self.meta["sample"])
        except (KeyError, TypeError, ValueError) as error:
            raise CommandError(f"{self.folder / 'meta.json'}: this is no complete recording ({error!r})") from None
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(content))
        except zipfile.BadZipFile as error:
            raise CommandError(f"{self.folder / 'arrays.npz'}: {error}") from None

    def _read(self, name: str) -> bytes:
        path = self.folder / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}; mxcompat recorder makes recordings") from None

    def _checked(self, entry: Mapping[str, str]) -> bytes:
        """The content of a file, which must be what the recorder wrote."""
        name = Path(entry["file"]).name
        content = self._read(name)
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise CommandError(f"{self.folder / name}: the file is not what meta.json says (its hash differs)")
        return content

    def entry(self, key: str) -> np.ndarray:
        """The array of an entry of ``arrays.npz``."""
        try:
            with self._archive.open(key + ".npy") as stream:
                value = np.lib.format.read_array(io.BytesIO(stream.read()), allow_pickle=False)
        except (KeyError, ValueError) as error:
            raise CommandError(f"{self.folder / 'arrays.npz'}: {key}: {error}") from None
        if digest(value) != key:
            raise CommandError(f"{self.folder / 'arrays.npz'}: {key}: the array is not what its name says")
        return value

    def array(self, entry: Mapping[str, Any]) -> np.ndarray:
        """An array that is recorded in full."""
        return self.entry(entry["array"])

    def about(self) -> str:
        """One line: where it comes from."""
        versions, totals = self.meta["versions"], self.meta["totals"]
        script = " ".join([self.meta["script"], *self.meta["arguments"]])
        return (
            f"{self.folder}: {script}; {self.meta['package']} {versions['mxnet']}, Python {versions['python']}, "
            f"NumPy {versions['numpy']}; {len(self.steps)} steps of {totals['train'] + totals['inference']}"
        )


def find_recordings(folder: str | Path) -> list[Path]:
    """Folders with a recording in and below ``folder``, in order of their names."""
    return sorted(path.parent for path in Path(folder).rglob("meta.json") if (path.parent / "arrays.npz").is_file())


def decoded(value: Any) -> Any:
    """A setting as the recorder had it: ``{"pairs": ...}`` is a dict."""
    if isinstance(value, list):
        return [decoded(part) for part in value]
    if isinstance(value, dict):
        return {key: decoded(part) for key, part in value["pairs"]}
    return value
