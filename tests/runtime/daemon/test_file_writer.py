"""Provider-writes mode: each file atomically, nothing outside the directory, nothing left behind."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from provider_runtime.errors import ErrorCode, MountError
from provider_runtime.file_writer import VolumeWriter, write_files
from provider_runtime.payload import MountFile
from provider_runtime.redaction import SecretBytes

if TYPE_CHECKING:
    from pathlib import Path


def _file(path: str, contents: bytes = b"value", mode: int = 0o644) -> MountFile:
    return MountFile(path=path, mode=mode, contents=SecretBytes(contents), object_id=path, version="1")


def test_contents_and_mode_arrive_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_files(str(tmp_path), [_file("a", b"\x00\xff", 0o666), _file("b", b"")], (), "class")
    finally:
        os.umask(before)
    assert (tmp_path / "a").read_bytes() == b"\x00\xff"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666
    assert (tmp_path / "b").read_bytes() == b""
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_an_unchanged_file_is_left_alone_and_a_changed_mode_is_not(tmp_path: Path) -> None:
    write_files(str(tmp_path), [_file("a"), _file("b")], (), "class")
    inodes = {name: (tmp_path / name).stat().st_ino for name in "ab"}
    write_files(str(tmp_path), [_file("a"), _file("b", mode=0o600)], (), "class")
    assert (tmp_path / "a").stat().st_ino == inodes["a"]
    assert (tmp_path / "b").stat().st_ino != inodes["b"]
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600


def test_a_file_that_vanished_is_written_again(tmp_path: Path) -> None:
    write_files(str(tmp_path), [_file("a")], (), "class")
    (tmp_path / "a").unlink()
    write_files(str(tmp_path), [_file("a")], (), "class")
    assert (tmp_path / "a").read_bytes() == b"value"


def test_a_link_in_the_directory_is_replaced_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"value")
    target = tmp_path / "mount"
    target.mkdir()
    (target / "a").symlink_to(outside)
    write_files(str(target), [_file("a", b"new")], (), "class")
    assert outside.read_bytes() == b"value"
    assert not (target / "a").is_symlink()


def test_a_name_of_250_bytes_fits(tmp_path: Path) -> None:
    """Vector X41: upstream's temporary name grows with the file's and may not fit."""
    write_files(str(tmp_path), [_file("n" * 250)], (), "class")
    assert (tmp_path / ("n" * 250)).exists()


def test_nothing_is_written_when_one_name_has_a_separator(tmp_path: Path) -> None:
    with pytest.raises(MountError, match="contains path separator") as caught:
        write_files(str(tmp_path), [_file("a"), _file("b/c")], (), "class")
    assert caught.value.code is ErrorCode.WRITE_FAILED
    assert not list(tmp_path.iterdir())


def test_a_missing_directory_names_the_mount_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MountError, match="HostToContainer"):
        write_files(str(tmp_path / "missing"), [_file("a")], (), "class")


def test_a_failing_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(MountError):
        write_files(str(tmp_path), [_file("a")], (), "class")
    assert {path.name for path in tmp_path.iterdir()} == {"a"}


def test_what_a_class_no_longer_lists_goes_also_when_the_driver_says_nothing(tmp_path: Path) -> None:
    """Drivers from 1.6 on never send versions."""
    write = VolumeWriter()
    (tmp_path / "not ours").write_text("x")
    write(str(tmp_path), [_file("a"), _file("b")], (), "class")
    write(str(tmp_path), [_file("b"), _file("c")], (), "class")
    assert {path.name for path in tmp_path.iterdir()} == {"b", "c", "not ours"}


def test_what_a_failed_write_left_goes_with_the_next_one(tmp_path: Path) -> None:
    write = VolumeWriter()
    (tmp_path / "b").mkdir()  # a file of this name cannot be renamed over it
    with pytest.raises(MountError):
        write(str(tmp_path), [_file("a"), _file("b")], (), "class")
    assert (tmp_path / "a").exists()
    write(str(tmp_path), [_file("c")], (), "class")
    assert {path.name for path in tmp_path.iterdir()} == {"b", "c"}, "the directory is not ours"
