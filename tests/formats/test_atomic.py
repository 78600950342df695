"""Saving in one step: the path holds the old content or the new, and nothing else stays behind."""

import os
import stat

import pytest

from mxcompat.formats import atomic
from mxcompat.formats.atomic import write_atomically


def test_contents_of_every_kind(tmp_path):
    path = tmp_path / "file"
    for content in (b"one", bytearray(b"one"), [b"o", memoryview(b"ne")], lambda stream: stream.write(b"one")):
        write_atomically(path, content)
        assert path.read_bytes() == b"one"
        path.write_bytes(b"something longer")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("limit", [1, 3, 4, 100])
def test_large_contents_go_to_the_disk_in_parts(tmp_path, monkeypatch, limit):
    """Whatever the limit after which the system is told to begin, every byte is written once and told once."""
    told = []
    monkeypatch.setattr(atomic, "_WRITE_BACK_AFTER", limit)
    monkeypatch.setattr(os, "posix_fadvise", lambda descriptor, *place: told.append(place[:2]), raising=False)
    parts = [b"0123456", b"", memoryview(b"789"), b"a"]
    for content in (parts, b"".join(parts)):
        told.clear()
        write_atomically(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == b"0123456789a"
        starts, ends = [start for start, _ in told], [start + count for start, count in told]
        assert starts == [0, *ends][: len(starts)] and all(count >= limit for _, count in told)
        assert 11 - max(ends, default=0) < limit


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_content(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(stream):
        stream.write(b"half")
        raise error

    with pytest.raises(error):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits of POSIX")
def test_permissions(tmp_path):
    path = tmp_path / "file"
    before = os.umask(0o027)
    try:
        write_atomically(path, b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    write_atomically(path, b"newer")
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


@pytest.mark.skipif(os.name != "posix", reason="symbolic links of POSIX")
def test_a_symbolic_link_stays_one(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    for content in (b"first", b"second"):
        write_atomically(link, content)
        assert link.is_symlink()
        assert target.read_bytes() == content


@pytest.mark.skipif(os.name != "posix", reason="devices of POSIX")
def test_what_is_no_file_is_written_directly():
    write_atomically("/dev/null", b"gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_folders_are_refused(tmp_path):
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path, b"")
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "absent" / "file", b"")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everything")
def test_a_read_only_file_stays(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o444)
    with pytest.raises(PermissionError):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


@pytest.mark.skipif(atomic.fcntl is None, reason="locks of POSIX")
def test_leftovers_of_killed_processes_are_removed(tmp_path):
    left = tmp_path / f".mxcompat-{'0' * 16}.tmp"
    left.write_bytes(b"half")
    other = tmp_path / ".mxcompat-notes.tmp"
    other.write_bytes(b"not ours")
    running, stream = atomic._open_temporary(str(tmp_path))
    with stream:
        write_atomically(tmp_path / "file", b"new")
        assert {entry.name for entry in tmp_path.iterdir()} == {"file", other.name, os.path.basename(running)}
    write_atomically(tmp_path / "file", b"newer")
    assert {entry.name for entry in tmp_path.iterdir()} == {"file", other.name}


def test_without_locks_leftovers_are_removed_after_a_day(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "fcntl", None)
    old, new = (tmp_path / f".mxcompat-{digit * 16}.tmp" for digit in "ab")
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    write_atomically(tmp_path / "file", b"new")
    assert {entry.name for entry in tmp_path.iterdir()} == {"file", new.name}


def test_two_writers_at_once(tmp_path):
    path = tmp_path / "file"

    def content(stream):
        stream.write(b"outer")
        write_atomically(path, b"inner")

    write_atomically(path, content)
    assert path.read_bytes() == b"outer"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="folders cannot be synchronized elsewhere")
def test_content_and_folder_reach_the_disk_around_the_replacing(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace

    def record_fsync(descriptor):
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def record_replace(source, target):
        steps.append("replace")
        assert os.path.dirname(source) == os.path.dirname(target)
        replace(source, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_replace)
    write_atomically(tmp_path / "file", b"new")
    assert steps == ["file", "replace", "folder"]
