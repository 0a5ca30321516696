"""Temporary folders go: with what they are for, or, after a crash, with the next program."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from napari_disca.storage import scratch
from napari_disca.storage.scratch import remove_scratch_folder, scratch_folder

_KILLED = """
import os, sys
from napari_disca.storage.scratch import scratch_folder
folder = scratch_folder("map")
(folder / "level0").write_bytes(b"pixels")
print(folder, flush=True)
sys.stdin.readline()
os._exit(1)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(
        "platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "napari-disca")
    )
    return tmp_path / "napari-disca" / "maps"


def other_program():
    return subprocess.Popen(
        [sys.executable, "-c", _KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("platform", [sys.platform, "win32"])
def test_what_a_killed_program_left_is_removed_on_every_system(cache, monkeypatch, platform):
    other = other_program()
    left = other.stdout.readline().strip()
    other.communicate("\n")
    assert [str(path) for path in cache.iterdir() if path.is_dir()] == [left]
    monkeypatch.setattr("sys.platform", platform)
    mine = scratch_folder("map")
    assert [path for path in cache.iterdir() if path.is_dir()] == [mine]
    remove_scratch_folder(mine)
    assert not list(cache.iterdir())


def test_what_a_running_program_needs_stays(cache):
    other = other_program()
    try:
        needed = other.stdout.readline().strip()
        mine = scratch_folder("map")
        second = scratch_folder("map")
        assert {str(path) for path in cache.iterdir() if path.is_dir()} == {
            needed,
            str(mine),
            str(second),
        }
    finally:
        other.communicate("\n")
    remove_scratch_folder(mine)
    remove_scratch_folder(second)


def test_a_folder_that_cannot_be_removed_yet_goes_later(cache, monkeypatch):
    """As on Windows, where a mapped file cannot be removed."""
    folder = scratch_folder("map")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        remove_scratch_folder(folder)
    assert folder.exists()
    scratch_folder("map")
    assert folder.exists(), "this program may still read it"
    scratch._LOCKS.pop(folder).release(force=True)  # as the system does when a program ends
    scratch_folder("map")
    assert not folder.exists()
