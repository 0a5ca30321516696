"""Files of the user's state are written on another thread, the latest value last."""

from __future__ import annotations

import json
import os
import threading

import pytest

from napari_disca.gui.toolkit.state_file import StateFile, wait_until_written


@pytest.fixture
def file():
    return StateFile("some.json", 1 << 10)


def test_a_value_is_read_while_it_is_written_and_after(file, monkeypatch):
    go, threads, real = threading.Event(), [], os.fsync

    def slow(descriptor):
        threads.append(threading.current_thread())
        assert go.wait(30)
        return real(descriptor)

    monkeypatch.setattr("os.fsync", slow)
    assert file.read() is None
    for value in ([1], [2], [3]):
        file.write(value)
        assert file.read() == value
    assert not file.path.exists()
    go.set()
    wait_until_written()
    assert json.loads(file.path.read_text()) == [3] == file.read()
    assert threading.main_thread() not in threads


@pytest.mark.parametrize("text", ["", "{", "[" * 100, " " * 2000])
def test_what_cannot_be_read_is_nothing(file, text):
    file.path.parent.mkdir(parents=True, exist_ok=True)
    file.path.write_text(text)
    assert file.read() is None


def test_a_folder_that_cannot_be_written_is_ignored(file):
    file.path.parent.parent.mkdir(parents=True, exist_ok=True)
    file.path.parent.write_text("a file where the folder would be")
    file.write([1])
    wait_until_written()
    assert file.read() is None
    file.path.parent.unlink()
