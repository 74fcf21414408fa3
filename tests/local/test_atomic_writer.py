"""The driver's atomic writer: which paths it takes, what the directory looks like, and what a crash leaves."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

import pytest

from local.atomic_writer import PayloadFile, WriteError, load_contents, load_visible_paths, system_mode, write_payload


def _file(path: str, contents: bytes = b"value", mode: int = 0o644) -> PayloadFile:
    return PayloadFile(path=path, mode=mode, contents=contents)


def _read(target: Path) -> dict[str, bytes]:
    return {path: load_contents(file) for path, file in load_visible_paths(target).items()}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        pytest.param("", "must not be empty", id="empty"),
        pytest.param("/a", "must be relative path", id="absolute"),
        pytest.param("a/../b", "must not contain '..'", id="parent element inside"),
        pytest.param("..", "must not contain '..'", id="parent element alone"),
        pytest.param("..data", "must not start with '..'", id="reserved first element"),
        pytest.param("..x/a", "must not start with '..'", id="reserved first directory"),
        pytest.param("./a", "invalid filepath", id="leading dot"),
        pytest.param("a//b", "invalid filepath", id="empty element"),
        pytest.param("a/", "invalid filepath", id="trailing slash"),
        pytest.param("a" * 256, "filenames must be less than or equal to 255", id="element of 256 bytes"),
        pytest.param(
            "é" * 128, "filenames must be less than or equal to 255", id="element of 256 bytes in 128 letters"
        ),
        pytest.param("/".join(["a" * 200] * 21), "less than or equal to 4096", id="path of more than 4096 bytes"),
    ],
)
def test_a_path_that_breaks_a_rule_refuses_the_whole_set_and_touches_nothing(
    tmp_path: Path, path: str, text: str
) -> None:
    write_payload(tmp_path, [_file("kept")])
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(WriteError, match=re.escape(text)):
        write_payload(tmp_path, [_file("fine"), _file(path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_dot_as_a_path_deletes_what_is_mounted(tmp_path: Path) -> None:
    """The driver's own defect: a provider must never send it."""
    write_payload(tmp_path, [_file("live")])
    with pytest.raises(WriteError, match=r"cleanup failure: .*device or resource busy"):
        write_payload(tmp_path, [_file(".")])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["a/..b", ".dot", "with space", "schlüssel", "a/b/c", "a" * 255])
def test_other_paths_are_accepted(tmp_path: Path, path: str) -> None:
    assert write_payload(tmp_path, [_file(path)])
    assert _read(tmp_path) == {path: b"value"}


@pytest.mark.parametrize("paths", [("a", "a/b"), ("a/b", "a")])
def test_a_file_that_is_also_a_directory_fails_and_the_old_set_stays(tmp_path: Path, paths: tuple[str, str]) -> None:
    write_payload(tmp_path, [_file("old")])
    with pytest.raises(WriteError, match=r"not a directory|is a directory"):
        write_payload(tmp_path, [_file(path) for path in paths])
    assert _read(tmp_path) == {"old": b"value"}


def test_a_path_cannot_turn_from_a_file_into_a_directory(tmp_path: Path) -> None:
    write_payload(tmp_path, [_file("a")])
    with pytest.raises(WriteError, match="not a directory"):
        write_payload(tmp_path, [_file("a/b")])


def test_a_byte_that_no_file_name_can_hold_is_a_write_error(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="invalid argument"):
        write_payload(tmp_path, [_file("a\0b")])


def test_of_one_path_named_twice_the_last_counts(tmp_path: Path) -> None:
    write_payload(tmp_path, [_file("a", b"first"), _file("a", b"last")])
    assert _read(tmp_path) == {"a": b"last"}


def test_the_layout_is_one_link_per_top_name_into_a_dated_directory(tmp_path: Path) -> None:
    write_payload(tmp_path, [_file("db.json"), _file("tls/crt"), _file("tls/deep/key")])
    dated = Path((tmp_path / "..data").readlink())
    assert re.fullmatch(r"\.\.\d{4}(_\d\d){5}\.\w+", str(dated))
    assert {path.name: str(path.readlink()) for path in tmp_path.iterdir() if path.is_symlink()} == {
        "..data": str(dated),
        "db.json": "..data/db.json",
        "tls": "..data/tls",
    }
    assert sorted(path.name for path in tmp_path.iterdir() if not path.is_symlink()) == [str(dated)]
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in (dated, dated / "tls")] == [0o755, 0o755]
    assert list(_read(tmp_path)) == ["db.json", "tls/crt", "tls/deep/key"]


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o644, 0o777, 0o000])
def test_a_file_gets_exactly_its_mode_whatever_the_umask(tmp_path: Path, mode: int) -> None:
    before = os.umask(0o077)
    try:
        write_payload(tmp_path, [_file("a", mode=mode)])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode
    assert _read(tmp_path) == {"a": b"value"}


@pytest.mark.parametrize(("sent", "on_disk"), [(0o4755, 0o755), (9999, 0o417), (-1, 0o7777), (0, 0)])
def test_a_mode_out_of_range_is_taken_as_go_takes_it(sent: int, on_disk: int) -> None:
    assert system_mode(sent) == on_disk


def test_equal_content_is_not_written_again(tmp_path: Path) -> None:
    write_payload(tmp_path, [_file("a"), _file("b/c")])
    before = ((tmp_path / "..data").readlink(), tmp_path.stat().st_mtime_ns)
    assert not write_payload(tmp_path, [_file("b/c"), _file("a")])
    assert ((tmp_path / "..data").readlink(), tmp_path.stat().st_mtime_ns) == before


def test_a_change_of_mode_alone_is_not_applied(tmp_path: Path) -> None:
    write_payload(tmp_path, [_file("a", mode=0o644)])
    assert not write_payload(tmp_path, [_file("a", mode=0o400)])
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_a_change_of_one_file_replaces_the_dated_directory(tmp_path: Path) -> None:
    write_payload(tmp_path, [_file("a", b"1"), _file("b", b"1")])
    old = (tmp_path / "..data").readlink()
    assert write_payload(tmp_path, [_file("a", b"2"), _file("b", b"1")])
    assert _read(tmp_path) == {"a": b"2", "b": b"1"}
    assert not (tmp_path / old).exists()


def test_a_file_no_longer_listed_is_removed_with_its_link_and_directory(tmp_path: Path) -> None:
    write_payload(tmp_path, [_file("a"), _file("dir/b"), _file("dir2/c"), _file("dir2/d")])
    assert write_payload(tmp_path, [_file("a"), _file("dir2/c")])
    assert _read(tmp_path) == {"a": b"value", "dir2/c": b"value"}
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("..")) == ["a", "dir2"]


def test_plain_files_that_the_provider_wrote_before_give_way(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"by the provider")
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "b").write_bytes(b"by the provider")
    write_payload(tmp_path, [_file("a"), _file("dir/b")])
    assert (tmp_path / "a").is_symlink()
    assert _read(tmp_path) == {"a": b"value", "dir/b": b"value"}


@pytest.mark.parametrize(
    ("step", "of_the_swap"), [("mkdtemp", False), ("open", False), ("symlink_to", True), ("rename", True)]
)
def test_a_failure_before_the_swap_leaves_the_old_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, *, of_the_swap: bool
) -> None:
    write_payload(tmp_path, [_file("a", b"old")])
    kept = (tmp_path / "..data").readlink()

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "somewhere")

    names = {"mkdtemp": "tempfile.mkdtemp", "open": "os.open"}
    with monkeypatch.context() as patch:
        patch.setattr(f"local.atomic_writer.{names.get(step, f'Path.{step}')}", fail)
        with pytest.raises(WriteError, match="write somewhere: no space left on device"):
            write_payload(tmp_path, [_file("a", b"new")])
    assert _read(tmp_path) == {"a": b"old"}
    assert (tmp_path / "..data").readlink() == kept
    if of_the_swap:
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["..data", str(kept), "a"])


def test_what_a_crash_left_before_the_swap_is_not_seen_and_blocks_a_change(tmp_path: Path) -> None:
    """The driver does not clean `..data_tmp` up either; an app goes on with the old set."""
    write_payload(tmp_path, [_file("a", b"old")])
    (tmp_path / "..data_tmp").symlink_to("..half-written")
    with pytest.raises(WriteError, match="file exists"):
        write_payload(tmp_path, [_file("a", b"new")])
    assert _read(tmp_path) == {"a": b"old"}


def test_a_reader_that_holds_the_old_directory_never_sees_a_mix(tmp_path: Path) -> None:
    """What an app sees through `..data` changes for all files at one moment: the link's target is the whole set."""
    write_payload(tmp_path, [_file("user", b"1"), _file("password", b"1")])
    seen: list[set[bytes]] = []
    rename = Path.rename

    def look_and_rename(link: Path, to: Path) -> Path:
        seen.append({file.read_bytes() for file in load_visible_paths(tmp_path).values()})
        done = rename(link, to)
        seen.append({file.read_bytes() for file in load_visible_paths(tmp_path).values()})
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", look_and_rename)
        write_payload(tmp_path, [_file("user", b"2"), _file("password", b"2")])
    assert seen == [{b"1"}, {b"2"}]
