"""What a node's machine lacks and Debian has: where it is found, how it is brought, what is said where it is not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.e2e import debian_packages, toolbox

#: Plays apt-get: notes its words; `install` leaves an archive per package, which is the list of its files.
PLAYED_APT = """#!/bin/sh
echo "$@" >> "{folder}/asked"
[ ! -e "{folder}/refusal" ] || {{ cat "{folder}/refusal" >&2; exit 100; }}
while [ $# -gt 0 ] && [ "$1" != install ]; do
  case "$1" in Dir::Cache=*) cache="${{1#Dir::Cache=}}" ;; esac
  shift
done
[ $# -gt 0 ] || exit 0
shift
for package; do cp "{folder}/$package.files" "$cache/archives/$package.deb"; done
"""
#: Plays dpkg-deb: makes each file of the list.
PLAYED_DPKG = """#!/bin/sh
while read -r file; do mkdir -p "$3/$(dirname "$file")"; echo x > "$3/$file"; chmod 755 "$3/$file"; done < "$2"
"""
FILES = {
    "containerd": "usr/bin/containerd\nusr/bin/ctr\n",
    "runc": "usr/sbin/runc\n",
    "busybox-static": "bin/busybox\n",
    "containernetworking-plugins": "usr/lib/cni/bridge\nusr/lib/cni/host-local\nusr/lib/cni/loopback\n",
}


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that plays Debian, on a machine that has none of a node's programs."""
    programs = tmp_path / "path"
    programs.mkdir()
    for name, text in (("apt-get", PLAYED_APT), ("dpkg-deb", PLAYED_DPKG)):
        (programs / name).write_text(text.format(folder=tmp_path) if name == "apt-get" else text, encoding="utf-8")
        (programs / name).chmod(0o755)
    for package, files in FILES.items():
        (tmp_path / f"{package}.files").write_text(files, encoding="utf-8")
    for name in ("sh", "cat", "cp", "mkdir", "dirname", "chmod"):
        (programs / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(programs))
    has = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name.startswith("/") else has(name))
    monkeypatch.setattr(toolbox, "FOLDER", tmp_path / "parts")
    return tmp_path


def test_what_is_missing_is_brought_once_and_found_at_its_usual_place(debian: Path) -> None:
    folder = toolbox.FOLDER
    wanted = debian_packages.NODE_PROGRAMS
    assert debian_packages.absent(wanted, folder) == dict(wanted)
    assert debian_packages.bring(wanted.values(), folder) is not None
    assert debian_packages.absent(wanted, folder) == {}
    found = debian_packages.find("/bin/busybox", folder)
    assert found == debian_packages.root(folder) / "usr/bin/busybox"
    assert not (debian_packages.root(folder) / "bin").exists(), "it would hide the machine's link"
    asked = (debian / "asked").read_text(encoding="utf-8").splitlines()
    assert [line.split()[-1] for line in asked] == ["update", "runc"]
    assert all(f"Dir::State::lists={folder / 'debian' / 'lists'}" in line for line in asked), "nothing of the machine"
    assert "--download-only" in asked[1]
    assert debian_packages.bring([], folder) is None


def test_the_toolbox_brings_them_and_says_so(debian: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert toolbox._bring_packages()
    assert capsys.readouterr().out.startswith(
        "busybox-static, containerd, containernetworking-plugins, runc: unpacked in "
    )
    (debian / "asked").unlink()
    assert toolbox._bring_packages(), "and not again"
    assert (capsys.readouterr().out, (debian / "asked").exists()) == ("", False)


def test_what_cannot_be_had_is_said_in_the_words_of_apt_and_nothing_is_half_there(
    debian: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (debian / "refusal").write_text("E: Unable to locate package runc\n", encoding="utf-8")
    assert not toolbox._bring_packages()
    assert "Unable to locate package runc" in capsys.readouterr().err
    assert not debian_packages.root(toolbox.FOLDER).exists()


def test_a_mirror_that_hangs_is_given_up(
    debian: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian_packages, "_TIMEOUT_SECONDS", 0.5)
    apt = debian / "path" / "apt-get"
    apt.write_text("#!/bin/sh\nexec /bin/sleep 60\n", encoding="utf-8")
    assert not toolbox._bring_packages()
    assert "`apt-get ... update` did not end in" in capsys.readouterr().err
    assert not debian_packages.root(toolbox.FOLDER).exists()


def test_without_debian_s_tools_nothing_is_brought_and_the_reason_names_the_packages(
    debian: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    assert toolbox._bring_packages()
    told = " ".join(toolbox.missing_node_requirements())
    assert "a node needs " in told
    assert "Fix on Debian: apt-get install busybox-static containerd" in told
    assert not (debian / "asked").exists()


def test_a_program_of_the_machine_comes_first(tmp_path: Path) -> None:
    assert debian_packages.find("sh", tmp_path) is not None
    assert debian_packages.find("/bin/sh", tmp_path) == Path("/bin/sh")
    assert debian_packages.find("no-such-program", tmp_path) is None
