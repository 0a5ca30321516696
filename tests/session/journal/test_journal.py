"""The file: written line by line, locked, read back from wherever it was cut."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from builders import write_image
from napari_disca.core.errors import JournalError
from napari_disca.raster import open_raster
from napari_disca.session.journal.journal import Journal, copied, new_journal
from napari_disca.session.journal.journal_format import DamagedLineError, Header, read_journal
from napari_disca.session.journal.journal_paths import find_journals, journal_places

HEADER = Header(
    image="i" * 32,
    image_name="a picture.tif",
    network="n" * 16,
    network_name="small",
    network_file="small.safetensors",
    classes=("roof", "großes Dach 🏠"),
    bands=(1, 2, 3),
    factor=0.37,
    seed=3,
    device="cpu",
    precision="float32",
    threads=2,
    version="0.1",
    made="2026-11-24T18:02:00+01:00",
)


def written(path, count=5):
    journal = Journal.begin(path, HEADER)
    for number in range(count):
        assert journal.append({"do": "clicks", "add": [[number, 1, 0]], "ü": "é"}) == ""
    journal.close()
    return path


def test_what_was_written_is_read(tmp_path):
    record = read_journal(written(tmp_path / "j.jsonl"))
    assert record.header == HEADER
    assert [event["add"][0][0] for event in record.events] == [0, 1, 2, 3, 4]
    assert record.last is not None
    assert record.text == (tmp_path / "j.jsonl").read_bytes()
    assert record.lines == (2, 3, 4, 5, 6)


def test_looking_leaves_nothing_behind(tmp_path):
    Journal.begin(tmp_path / "j.jsonl", HEADER).close()
    assert not list(tmp_path.iterdir())


def test_every_event_is_on_disk_before_the_next(tmp_path):
    journal = Journal.begin(tmp_path / "j.jsonl", HEADER)
    for number in range(3):
        journal.append({"do": "go", "to": number})
        assert len(read_journal(journal.path).events) == number + 1
    journal.close()


def test_cut_anywhere_only_the_last_line_is_lost(tmp_path):
    data = written(tmp_path / "whole.jsonl", 3).read_bytes()
    lines = data.splitlines(keepends=True)
    ends = np.cumsum([len(line) for line in lines])
    path = tmp_path / "cut.jsonl"
    for size in range(len(data) + 1):
        path.write_bytes(data[:size])
        # A line that lacks nothing but its end is complete.
        complete = int((ends <= size + 1).sum())
        if complete == 0:
            with pytest.raises(JournalError, match="first line"):
                read_journal(path)
            continue
        assert len(read_journal(path).events) == complete - 1
        if size % 7 == 0:
            journal, record = Journal.resume(path)
            assert len(record.events) == complete - 1
            journal.append({"do": "go", "to": 99})
            journal.close()
            again = read_journal(path).events
            assert len(again) == complete
            assert again[-1]["to"] == 99


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [lines[0], b"{nonsense", *lines[1:]], "line 2 of j.jsonl is damaged"),
        (lambda lines: [lines[0], b"[1, 2]", *lines[1:]], "line 2 .* not an object"),
        (lambda lines: [lines[0], b'{"a": NaN}', *lines[1:]], "NaN is not JSON"),
        (lambda lines: [lines[0], b"[" * 100_000, *lines[1:]], "line 2 of j.jsonl is damaged"),
        (lambda lines: [lines[0], b'{"a": 1' + b"0" * 5000 + b"}", *lines[1:]], "line 2"),
        (lambda lines: [lines[0], b"\xff\xfe", *lines[1:]], "line 2"),
        (lambda lines: [b"{nonsense", *lines[1:]], "line 1"),
        (lambda lines: [b'{"a": 1}', *lines[1:]], "is not a journal"),
        (lambda lines: [lines[0].replace(b'"format":1', b'"format":2'), *lines[1:]], "later"),
        (lambda lines: [lines[0].replace(b"0.37", b"-1"), *lines[1:]], "'factor'"),
        (lambda lines: [lines[0].replace(b"0.37", b"1e999"), *lines[1:]], "'factor'"),
        (lambda lines: [lines[0].replace(b"[1,2,3]", b'["a"]'), *lines[1:]], "'bands'"),
    ],
)
def test_anything_else_is_refused_in_one_line(tmp_path, change, message):
    path = written(tmp_path / "j.jsonl")
    path.write_bytes(b"\n".join(change(path.read_bytes().split(b"\n"))))
    with pytest.raises(JournalError, match=message) as caught:
        read_journal(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (lambda data: b"\xef\xbb\xbf" + data, (2, 3, 4)),
        (lambda data: data.replace(b"\n", b"\r\n"), (2, 3, 4)),
        (lambda data: b"\xef\xbb\xbf\r\n" + data.replace(b"\n", b"\r\n\r\n"), (4, 6, 8)),
        (lambda data: data.replace(b"\n", b"\n \n\t\n"), (4, 7, 10)),
    ],
)
def test_what_an_editor_leaves_is_no_damage(tmp_path, change, lines):
    path = written(tmp_path / "j.jsonl", 3)
    events = read_journal(path).events
    changed = change(path.read_bytes())
    path.write_bytes(changed)
    record = read_journal(path)
    assert (record.events, record.lines) == (events, lines)
    journal, _ = Journal.resume(path)
    journal.append({"do": "go", "to": 1})
    journal.close()
    assert path.read_bytes().startswith(changed)
    assert len(read_journal(path).events) == 4


def test_before_a_damaged_line_a_journal_goes_on_and_the_damaged_one_is_kept(tmp_path):
    path = written(tmp_path / "a.disca.jsonl", 3)
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = b"".join([*lines[:3], b"{nonsense\n", *lines[3:]])
    path.write_bytes(damaged)
    with pytest.raises(DamagedLineError, match="line 4 of") as caught:
        Journal.resume(path)
    assert caught.value.line == 4
    journal, record = Journal.resume(path, before=4)
    assert len(record.events) == 2
    journal.close()
    assert path.read_bytes() == damaged, "nothing was done yet"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    journal, _ = Journal.resume(path, before=4)
    journal.append({"do": "go", "to": 0})
    journal.close()
    assert (tmp_path / "a.disca.1.jsonl").read_bytes() == damaged
    assert path.read_bytes().startswith(b"".join(lines[:3]))
    assert [event.get("to") for event in read_journal(path).events] == [None, None, 0]
    with pytest.raises(JournalError, match="nothing before line 1"):
        read_journal(path, before=1)


def test_a_file_too_large_for_a_journal_is_not_read(tmp_path, monkeypatch):
    path = written(tmp_path / "j.jsonl")
    monkeypatch.setattr("napari_disca.session.journal.journal_format._LARGEST_FILE", 500)
    with pytest.raises(JournalError, match="too much for a journal"):
        read_journal(path)


def test_only_one_at_a_time_and_a_crash_lets_others_in(tmp_path):
    path = tmp_path / "j.jsonl"
    code = (
        "import sys, time; from pathlib import Path; sys.path[:0] = sys.argv[2:]\n"
        "from test_journal import HEADER\n"
        "from napari_disca.session.journal.journal import Journal\n"
        "journal = Journal.begin(Path(sys.argv[1]), HEADER); journal.append({'do': 'go'})\n"
        "print('ready', flush=True); time.sleep(600)"
    )
    here = Path(__file__).parent
    command = [sys.executable, "-c", code, str(path), str(here), str(here.parents[1])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(JournalError, match=rf"another window \(process {other.pid} on"):
            Journal.resume(path)
        assert read_journal(path).events, "reading is free"
        assert read_journal(copied(path)).events, "and so is copying"
        other.kill()
    journal, record = Journal.resume(path)
    assert len(record.events) == 1
    with pytest.raises(JournalError, match="another window"):
        Journal.resume(path)  # in this process, too
    journal.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["j.1.jsonl", "j.jsonl"]


def test_a_file_that_somebody_removes_is_written_again(tmp_path):
    path = tmp_path / "j.jsonl"
    journal = Journal.begin(path, HEADER)
    journal.append({"do": "go", "to": 0})
    if os.name == "nt":
        pytest.skip("Windows does not let go of open files")
    path.unlink()
    journal.append({"do": "go", "to": 1})
    path.write_bytes(path.read_bytes()[:-9])  # or cuts
    journal.append({"do": "go", "to": 2})
    copy = path.read_bytes()
    path.unlink()
    path.write_bytes(copy)  # as a program does that synchronises folders
    journal.append({"do": "go", "to": 3})
    journal.close()
    assert [event["to"] for event in read_journal(path).events] == [0, 1, 2, 3]
    assert [p.name for p in tmp_path.iterdir()] == ["j.jsonl"]


def _moved_over(path):
    (path.parent / "new").write_bytes(b"another file")
    (path.parent / "new").replace(path)


def _written_over(path):
    path.write_bytes(b"another file")


def _added_to(path):
    path.write_bytes(path.read_bytes() + b"another line\n")


def _changed(path):
    path.write_bytes(path.read_bytes().replace(b"go", b"og"))


def _folder(path):
    path.unlink(missing_ok=True)
    path.mkdir()


@pytest.mark.skipif(os.name == "nt", reason="Windows does not let go of open files")
@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("change", [_moved_over, _written_over, _added_to, _changed, _folder])
def test_another_file_in_its_place_is_left_alone(tmp_path, change, early):
    path = tmp_path / "a.disca.jsonl"
    if early and change in (_added_to, _changed):
        return  # there is nothing yet
    journal = Journal.begin(path, HEADER)
    if not early:
        journal.append({"do": "go", "to": 0})
    change(path)
    foreign = path.read_bytes() if path.is_file() else None
    for number in (1, 2):
        assert journal.append({"do": "go", "to": number}) == ""
    assert journal.path.name == "a.disca.1.jsonl"
    with pytest.raises(JournalError, match="another window"):
        Journal.resume(journal.path)
    journal.close()
    assert [e["to"] for e in read_journal(journal.path).events] == [0, 1, 2][early:]
    assert (path.read_bytes() if path.is_file() else None) == foreign
    assert not list(tmp_path.glob(".*"))


@pytest.mark.skipif(os.name == "nt", reason="a folder with open files cannot be moved there")
def test_a_folder_that_is_moved_keeps_its_journal(tmp_path):
    (tmp_path / "before").mkdir()
    journal = Journal.begin(tmp_path / "before" / "a.disca.jsonl", HEADER)
    journal.append({"do": "go", "to": 0})
    (tmp_path / "before").rename(tmp_path / "after")
    assert journal.append({"do": "go", "to": 1}) == ""
    journal.close()
    assert not (tmp_path / "before").exists()
    assert len(read_journal(tmp_path / "after" / "a.disca.jsonl").events) == 2


def test_a_slow_disk_holds_nobody_up_and_a_kill_loses_nothing(tmp_path, monkeypatch):
    """An event is in the file at once; that it reaches the disk is waited for elsewhere."""
    go, threads = threading.Event(), []

    def slow(descriptor):
        threads.append(threading.current_thread())
        assert go.wait(30)

    monkeypatch.setattr("os.fsync", slow)
    journal = Journal.begin(tmp_path / "j.jsonl", HEADER)
    try:
        began = time.monotonic()
        for number in range(20):
            assert journal.append({"do": "go", "to": number}) == ""
        assert time.monotonic() - began < 5
        assert len(read_journal(journal.path).events) == 20
    finally:
        go.set()
    assert journal.wait() == ""
    assert threads
    assert threading.current_thread() not in threads
    assert len(threads) <= 3, "many events reach the disk together"
    journal.close()


def test_a_disk_that_fails_in_the_background_is_told_and_written_again(tmp_path, monkeypatch):
    journal = Journal.begin(tmp_path / "j.jsonl", HEADER)
    journal.append({"do": "go", "to": 0})
    journal.wait()
    reported = threading.Event()
    journal.on_trouble = reported.set
    written, real = [], os.write

    def broken(descriptor):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", broken)
        journal.append({"do": "go", "to": 1})
        assert reported.wait(10)
        assert "Input/output error" in journal.wait()
    monkeypatch.setattr("os.write", lambda f, data: written.append(bytes(data)) or real(f, data))
    journal.append({"do": "go", "to": 2})
    assert b'"to":1' in written[0], "the system may have forgotten it"
    assert journal.wait() == ""
    assert [event["to"] for event in read_journal(journal.path).events] == [0, 1, 2]
    journal.close()


def test_a_failing_disk_loses_nothing_once_it_is_back(tmp_path, monkeypatch):
    journal = Journal.begin(tmp_path / "j.jsonl", HEADER)
    journal.append({"do": "go", "to": 0})
    real = os.write
    calls = []

    def full(descriptor, data):
        calls.append(1)
        if len(calls) == 1:
            return real(descriptor, bytes(data[:5]))  # half a line, then no more room
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("napari_disca.session.journal.journal.os.write", full)
        assert "No space left on device" in journal.append({"do": "go", "to": 1})
        assert len(read_journal(journal.path).events) == 1
        assert journal.path.read_bytes().endswith(b"\n"), "half a line is removed again"
        assert journal.append({"do": "go", "to": 2})
    assert journal.append({"do": "go", "to": 3}) == ""
    assert [event["to"] for event in read_journal(journal.path).events] == [0, 1, 2, 3]
    journal.close()


def test_what_could_not_be_written_is_written_when_the_journal_is_closed(tmp_path, monkeypatch):
    journal = Journal.begin(tmp_path / "j.jsonl", HEADER)
    journal.append({"do": "go", "to": 0})

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("napari_disca.session.journal.journal.os.write", full)
        assert journal.append({"do": "go", "to": 1})
    journal.close()
    assert [event["to"] for event in read_journal(journal.path).events] == [0, 1]


def test_a_name_that_is_taken_leaves_no_lock(tmp_path):
    path = written(tmp_path / "j.jsonl")
    with pytest.raises(JournalError, match="exists already"):
        Journal.begin(path, HEADER)
    assert list(tmp_path.iterdir()) == [path]
    journal, _ = Journal.resume(path)
    journal.close()


@pytest.fixture
def raster(tmp_path):
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (3, 40, 50)).astype(np.uint8)
    with open_raster(write_image(tmp_path / "images" / "city [1].tif", pixels)) as opened:
        yield opened


def test_the_latest_journal_of_an_image_comes_first(raster):
    names = []
    for number in range(3):
        journal = new_journal(raster, replace(HEADER, seed=number))
        journal.append({"do": "go", "to": number})
        journal.close()
        os.utime(journal.path, (1000 + number, 1000 + number))
        names.append(journal.path.name)
    found = find_journals(raster)
    assert [read_journal(path).header.seed for path in found] == [2, 1, 0]
    assert set(names) == {"city [1].tif.disca.jsonl"}
    assert [path.name for path in found[1:]] == [
        "city [1].tif.disca.2.jsonl",
        "city [1].tif.disca.1.jsonl",
    ]


def test_beside_a_second_window_a_new_journal_gets_a_number(raster):
    first = new_journal(raster, HEADER)
    first.append({"do": "go", "to": 0})
    second = new_journal(raster, HEADER)
    second.append({"do": "go", "to": 1})
    assert second.path.name == "city [1].tif.disca.1.jsonl"
    assert [e["to"] for e in read_journal(first.path).events] == [0]
    first.close()
    second.close()


def test_an_array_has_its_journal_in_the_users_data_folder():
    pixels = np.random.default_rng(0).integers(0, 255, (30, 30, 3)).astype(np.uint8)
    journal = new_journal(open_raster(pixels), HEADER)
    journal.append({"do": "go", "to": 0})
    journal.close()
    assert Path(os.environ["XDG_DATA_HOME"]) in journal.path.parents
    assert find_journals(open_raster(pixels)) == [journal.path]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="another user is needed for this")
def test_beside_an_image_in_a_read_only_folder_there_is_no_room(raster, monkeypatch):
    # Not in pytest's folder, which is only its user's: root may write anywhere, so the one who
    # tries must be somebody else.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "images").mkdir()
        (folder / "data").mkdir()
        (folder / "data").chmod(0o777)
        monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
        image = shutil.copy(raster.path, folder / "images" / "city.tif")
        (folder / "images").chmod(0o555)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                if os.geteuid() == 0:
                    os.setuid(65534)
                journal = new_journal(open_raster(image), HEADER)
                journal.append({"do": "go", "to": 0})
                journal.close()
                code = 0 if folder / "data" in journal.path.parents else 2
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        (folder / "images").chmod(0o755)
        assert os.waitstatus_to_exitcode(status) == 0
        with open_raster(image) as opened:
            (found,) = find_journals(opened)
            assert folder / "data" in found.parents


def test_places(raster):
    beside, own = journal_places(raster)
    assert beside == raster.path.with_name("city [1].tif.disca.jsonl")
    assert Path(os.environ["XDG_DATA_HOME"]) in own.parents
