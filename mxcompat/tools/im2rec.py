"""List the images of a folder (PREFIX.lst), or make a record set of a list of images (PREFIX.rec and PREFIX.idx).

The same command line as the original's ``tools/im2rec.py``: first ``im2rec --list PREFIX ROOT``, then ``im2rec PREFIX
ROOT`` for every list whose path begins with PREFIX. Needs no torch; ``--pass-through`` needs no image library either.

A line of a list is a whole number, one or more labels and a path relative to ROOT, with a TAB between each. A line or an
image that cannot be used is reported with the list's name and the line, and left out; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import os
import random
import struct
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from mxcompat.base import MXNetError
from mxcompat.formats import images
from mxcompat.formats.atomic import write_atomically
from mxcompat.formats.recordio import IRHeader, pack, record_chunks
from mxcompat.migrate import CommandError

_SEED = 100  # of the original's order
_BILINEAR = 1
_AHEAD = 8  # images a thread may be ahead of the file that is written
_PROGRESS = 1000  # records between two lines of progress


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the original's im2rec."""
    parser.add_argument("prefix", help="path without .lst, .rec and .idx of the files to read and write")
    parser.add_argument("root", help="folder that has the images")
    group = parser.add_argument_group("lists")
    group.add_argument("--list", action="store_true", help="write PREFIX.lst, a list of the images in ROOT")
    group.add_argument("--exts", nargs="+", default=[".jpeg", ".jpg", ".png"], help="endings of the images' names")
    group.add_argument("--chunks", type=int, default=1, help="number of lists, PREFIX_0.lst and so on")
    group.add_argument("--train-ratio", type=float, default=1.0, help="share of the images that go to PREFIX_train.lst")
    group.add_argument("--test-ratio", type=float, default=0.0, help="share of the images that go to PREFIX_test.lst")
    group.add_argument("--recursive", action="store_true", help="look into folders; each folder is a label")
    group.add_argument("--no-shuffle", dest="shuffle", action="store_false", help="keep the order of the names")
    group = parser.add_argument_group("record sets")
    group.add_argument("--pass-through", action="store_true", help="pack the files as they are")
    group.add_argument("--resize", type=int, default=0, help="pixels of the shorter edge; 0 keeps the size")
    group.add_argument("--center-crop", action="store_true", help="cut out the square in the middle, before --resize")
    group.add_argument("--quality", type=int, default=95, help="1 to 100 for JPEG, compression 1 to 9 for PNG")
    group.add_argument(
        "--num-thread", type=int, default=1, help="threads that read and encode; records keep the list's order"
    )
    group.add_argument(
        "--color", type=int, default=1, choices=[-1, 0, 1], help="1: three colours, 0: gray, -1: as stored, with alpha"
    )
    group.add_argument("--encoding", default=".jpg", choices=[".jpg", ".png"], help="format of the packed images")
    group.add_argument("--pack-label", action="store_true", help="pack all labels of a line, not the first one only")


def main(args: argparse.Namespace) -> int:
    """Write lists or record sets; 1 where something had to be left out."""
    if not os.path.isdir(args.root):
        raise CommandError(f"{args.root}: no such folder")
    prefix = os.path.abspath(args.prefix)
    try:
        return _write_lists(args, prefix) if args.list else _write_record_sets(args, prefix)
    except (OSError, ImportError) as error:
        raise CommandError(str(error)) from None


# -- lists ------------------------------------------------------------------------------------------------------


def _write_lists(args: argparse.Namespace, prefix: str) -> int:
    _check_shares(args)
    exts = tuple(ext.lower() for ext in args.exts)
    found = list(enumerate(_find_images(args.root, exts, args.recursive)))
    if not found:
        raise CommandError(
            f"{args.root}: no file ends in {' '.join(exts)}" + ("" if args.recursive else "; --recursive")
        )
    if args.shuffle:
        random.Random(_SEED).shuffle(found)
    size = -(-len(found) // args.chunks)
    for chunk in range(args.chunks):
        part = found[chunk * size : (chunk + 1) * size]
        base = f"{prefix}_{chunk}" if args.chunks > 1 else prefix
        for suffix, lines in _shares(part, size, args.train_ratio, args.test_ratio):
            text = "".join(f"{number}\t{label:f}\t{path}\n" for number, (path, label) in lines)
            write_atomically(f"{base}{suffix}.lst", text.encode("utf-8", "surrogateescape"))
            print(f"{base}{suffix}.lst: {len(lines)} images")
    return 0


def _check_shares(args: argparse.Namespace) -> None:
    if args.chunks < 1:
        raise CommandError(f"--chunks {args.chunks}: expected 1 or more")
    for name, share in (("--train-ratio", args.train_ratio), ("--test-ratio", args.test_ratio)):
        if not 0 <= share <= 1:
            raise CommandError(f"{name} {share:g}: expected 0 to 1")
    if args.train_ratio + args.test_ratio > 1 + 1e-9:
        raise CommandError(
            f"--train-ratio {args.train_ratio:g} and --test-ratio {args.test_ratio:g} are more than 1 together"
        )


def _shares(part: list, size: int, train: float, test: float) -> Iterator[tuple[str, list]]:
    """The end of the list's name, and its lines; shares are of ``size`` lines, which the last chunk may not have."""
    if train == 1:
        yield "", part
        return
    first, count = int(size * test), int(size * train)
    if test:
        yield "_test", part[:first]
    if train + test < 1:
        yield "_val", part[first + count :]
    yield "_train", part[first : first + count]


def _find_images(root: str, exts: tuple[str, ...], recursive: bool) -> Iterator[tuple[str, int]]:
    """Path relative to the folder and label, in the order of the names; prints which folder has which label."""
    if not recursive:
        yield from ((name, 0) for name in _images_of(root, sorted(os.listdir(root)), exts))
        return
    labels: list[str] = []
    for folder, inner, names in os.walk(root, followlinks=True):
        inner[:] = sorted(name for name in inner if not _leads_back(folder, name))
        found = list(_images_of(folder, sorted(names), exts))
        if found:
            labels.append(os.path.relpath(folder, root))
            yield from ((os.path.relpath(os.path.join(folder, name), root), len(labels) - 1) for name in found)
    for label, folder in enumerate(labels):
        print(folder, label)


def _images_of(folder: str, names: Iterable[str], exts: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        if os.path.splitext(name)[1].lower() in exts and os.path.isfile(os.path.join(folder, name)):
            yield name


def _leads_back(folder: str, name: str) -> bool:
    """Whether a link leads to a folder that it is in."""
    path = os.path.join(folder, name)
    if not os.path.islink(path):
        return False
    target, place = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([target, place]) == target


# -- record sets ------------------------------------------------------------------------------------------------


class _Image(NamedTuple):
    """A line of a list."""

    line: int
    number: int
    labels: list[float]
    path: str


class _Unusable(Exception):
    """A line or an image that cannot be packed."""


def _write_record_sets(args: argparse.Namespace, prefix: str) -> int:
    _check_encoding(args)
    folder = prefix if os.path.isdir(prefix) else os.path.dirname(prefix)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    paths = [os.path.join(folder, name) for name in names]
    lists = [path for path in paths if path.startswith(prefix) and path.endswith(".lst") and os.path.isfile(path)]
    if not lists:
        raise CommandError(f"{prefix}: Did not find any list file with this prefix; --list makes one")
    return max(_RecordSet(args, path).write() for path in lists)


def _check_encoding(args: argparse.Namespace) -> None:
    lowest, highest = (1, 100) if args.encoding == ".jpg" else (0, 100)  # PNG: more than 9 is 9, as in the original
    if not lowest <= args.quality <= highest:
        raise CommandError(f"--quality {args.quality}: expected {lowest} to {highest}")
    if args.resize < 0:
        raise CommandError(f"--resize {args.resize}: expected pixels, or 0 to keep the size")
    if args.num_thread < 1:
        raise CommandError(f"--num-thread {args.num_thread}: expected 1 or more")
    if args.resize and not args.pass_through and images.opencv() is None:
        raise CommandError("--resize needs OpenCV, which is not installed: pip install 'mxcompat[image]'")


class _RecordSet:
    """The record set of a list."""

    def __init__(self, args: argparse.Namespace, path: str):
        self.args, self.path = args, path
        self.left_out = 0
        self.index: list[str] = []

    def write(self) -> int:
        """Write ``.rec`` and ``.idx`` beside the list; 1 where something had to be left out."""
        base = os.path.splitext(self.path)[0]
        write_atomically(base + ".rec", self._write_records)
        write_atomically(base + ".idx", "".join(self.index).encode())
        left = f", {self.left_out} lines left out" if self.left_out else ""
        print(f"{base}.rec: {len(self.index)} records{left}")
        return 1 if self.left_out else 0

    def _write_records(self, stream: BinaryIO) -> None:
        position = 0
        for image, record in self._records():
            chunks = record_chunks(record)
            stream.writelines(chunks)
            self.index.append(f"{image.number}\t{position}\n")
            position += sum(map(len, chunks))
            if len(self.index) % _PROGRESS == 0:
                print(f"{len(self.index)} records", flush=True)

    def _records(self) -> Iterator[tuple[_Image, bytes]]:
        """Images and their records, in the order of the list, made by threads that are a little ahead."""
        waiting: deque[tuple[_Image, Future]] = deque()
        with ThreadPoolExecutor(self.args.num_thread, thread_name_prefix="mxcompat-im2rec") as pool:
            try:
                for image in self._images():
                    waiting.append((image, pool.submit(_record, self.args, image)))
                    if len(waiting) >= _AHEAD * self.args.num_thread:
                        yield from self._finished(*waiting.popleft())
                while waiting:
                    yield from self._finished(*waiting.popleft())
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _finished(self, image: _Image, future: Future) -> Iterator[tuple[_Image, bytes]]:
        try:
            yield image, future.result()
        except _Unusable as error:
            self._report(image.line, error)

    def _images(self) -> Iterator[_Image]:
        """The lines of the list; empty ones are passed over."""
        with open(self.path, encoding="utf-8", errors="surrogateescape") as lines:
            for number, line in enumerate(lines, 1):
                fields = [field.strip() for field in line.strip().split("\t")]
                if fields == [""]:
                    continue
                try:
                    if len(fields) < 3:
                        raise ValueError
                    yield _Image(number, int(fields[0]), [float(field) for field in fields[1:-1]], fields[-1])
                except ValueError:
                    text = line.rstrip("\n")
                    self._report(
                        number,
                        f"expected a whole number, labels and a path with TABs between them, found {text!r:.200}",
                    )

    def _report(self, line: int, problem: object) -> None:
        self.left_out += 1
        print(f"{self.path}: line {line}: {problem}", file=sys.stderr)


def _record(args: argparse.Namespace, image: _Image) -> bytes:
    """The record of an image; ``_Unusable`` with the reason where there is none."""
    label: Any = image.labels if args.pack_label and len(image.labels) > 1 else image.labels[0]
    path = os.path.join(args.root, image.path)
    try:
        with open(path, "rb") as stream:
            content = stream.read()
        if not args.pass_through:
            content = _encoded(args, content)
        return pack(IRHeader(0, label, image.number, 0), content)
    except OSError as error:
        raise _Unusable(f"{path}: cannot be read: {error.strerror}") from None
    except struct.error as error:
        raise _Unusable(f"number {image.number} or label {label} does not fit into a record: {error}") from None
    except (MXNetError, ValueError) as error:
        raise _Unusable(f"{path}: {error}") from None


def _encoded(args: argparse.Namespace, content: bytes) -> bytes:
    """The image cut and resized as the arguments say, and encoded anew."""
    pixels = images.decode(content, args.color)
    if pixels is None:
        raise ValueError(f"cannot be decoded ({len(content)} bytes)")
    if args.center_crop:
        pixels = _square(pixels)
    if args.resize:
        pixels = _resized(pixels, args.resize)
    return images.encode(pixels, args.encoding, args.quality)


def _resized(pixels: np.ndarray, shorter: int) -> np.ndarray:
    """The image with a shorter edge of that many pixels."""
    height, width = pixels.shape[:2]
    if height > width:
        size = shorter, height * shorter // width
    else:
        size = width * shorter // height, shorter
    library = images.opencv()
    try:
        return images.resize(library, pixels, *size, _BILINEAR)
    except library.error as error:
        raise ValueError(f"cannot be resized to {size[0]}x{size[1]} pixels: {error}") from None


def _square(pixels: np.ndarray) -> np.ndarray:
    """The middle of the image, as wide as high."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


if __name__ == "__main__":
    from mxcompat.tools import run_alone

    sys.exit(run_alone(sys.modules[__name__]))
