"""A process that clicks, adapts and saves is killed at random moments; nothing is lost."""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import time
from dataclasses import replace

import numpy as np
import pytest
import rasterio

import killing
from builders import make_tiny_network, picture_of, set_tiles, write_image
from napari_disca.cli import main
from napari_disca.core.events import finish
from napari_disca.networks import load_network, save_network
from napari_disca.raster import open_raster, quiet_opening
from napari_disca.session import restore
from napari_disca.session.journal.journal_format import read_journal
from napari_disca.session.session import MAPS

pytestmark = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(),
    reason="a process that starts in no time is needed",
)
#: Events that are steps of the history.
STEPS = (
    "clicks",
    "adapt",
    "reset",
    "go",
    "lock",
    "unlock",
    "verdict",
    "near",
    "strength",
    "classes",
    "stroke",
    "review",
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    set_tiles(monkeypatch, *killing.TILES)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_image(tmp_path / "image.tif", np.moveaxis(picture_of(9, 11), -1, 0))
    save_network(make_tiny_network(), tmp_path / "tiny.safetensors", half=False)
    return tmp_path


def killed(context, folder, seed, rng):
    """What a process told before it was killed, at a random moment of whatever comes next."""
    theirs, ours = context.Pipe()
    process = context.Process(target=killing.work, args=(str(folder), seed, ours), daemon=True)
    process.start()
    ours.close()
    lines = []
    for _ in range(rng.randrange(16)):
        assert theirs.poll(300), "it hangs"
        lines.append(theirs.recv())
    # What is told now waits in the pipe. Who was told nothing may be reading the journal still.
    time.sleep(rng.expovariate(20 if lines else 3))
    process.kill()
    process.join()
    assert process.exitcode == -9, f"it ended by itself, with {process.exitcode}"
    with contextlib.suppress(EOFError, ConnectionResetError):
        while theirs.poll(0):
            lines.append(theirs.recv())
    theirs.close()
    return lines


def check_after(folder, lines, before):
    """Look at what is left, and return the number of events and what may be in the saved maps."""
    journal = folder / "image.tif.disca.jsonl"
    did = [line[1:] for line in lines if line[0] == "did"]
    if not journal.exists() or journal.stat().st_size == 0:
        assert not any(events for events, _, _ in did)
        return 0
    if b"\n" not in journal.read_bytes():
        # Killed in its first line, before anything was acknowledged.
        assert not any(events for events, _, _ in did)
        return 0
    record = read_journal(journal)
    network = load_network(folder / "tiny.safetensors")

    def session_at(events):
        cut = replace(record, events=record.events[:events], lines=record.lines[:events])
        return restore.restored(cut, open_raster(folder / "image.tif"), network)

    acknowledged = did[-1][0] if did else before
    assert len(record.events) >= acknowledged, "something was lost that was acknowledged"
    extra = [event["do"] for event in record.events[acknowledged:] if event["do"] in STEPS]
    assert len(extra) <= 1, "more than what was being done when it was killed"
    if did:
        events, state, _ = did[-1]
        assert killing.state_of(session_at(events)) == state
    # It reopens, and its maps can be drawn.
    session = session_at(len(record.events))
    finish(session.refine(), session.handle)
    assert all(session.map_state.up_to_date(name) == 1.0 for name in MAPS)
    drawn = [(events, maps) for events, _, maps in did if maps]
    if drawn:
        events, maps = drawn[-1]
        then = session_at(events)
        finish(then.refine(), then.handle)
        assert killing.maps_of(then) == maps, "the replay gives another map"
    return len(record.events)


def check_saved(folder, may_be):
    """A saved map is complete: one of those that were going to be saved."""
    saved = 0
    for name in MAPS:
        path = folder / f"{name}.tif"
        if path.exists():
            with quiet_opening(), rasterio.open(path) as file:
                assert killing.hash_of(file.read(1)) in may_be[name]
            saved += 1
    return saved


def run(folder, kills):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["killing"])
    rng = random.Random(1)
    events, acknowledged, saved = 0, 0, 0
    may_be = {name: set() for name in MAPS}
    for seed in range(kills):
        lines = killed(context, folder, seed, rng)
        acknowledged += sum(line[0] == "did" for line in lines)
        events = check_after(folder, lines, events)
        for line in lines:
            if line[0] == "saves":
                for name, found in line[1].items():
                    may_be[name].add(found)
        saved += check_saved(folder, may_be)
    # The command line gives the same map as going on would.
    record = read_journal(folder / "image.tif.disca.jsonl")
    session = restore.restored(
        record, open_raster(folder / "image.tif"), load_network(folder / "tiny.safetensors")
    )
    finish(session.refine(), session.handle)
    for name in MAPS:
        output = folder / f"replayed_{name}.tif"
        command = ["replay", str(record.path), str(folder / "image.tif"), "-o", str(output)]
        assert main([*command, "--map", name, "--learn-again"]) == 0
        with quiet_opening(), rasterio.open(output) as file:
            labels = session.maps[name].read(killing.Window.whole(session.raster.shape))
            np.testing.assert_array_equal(file.read(1), labels)
    return events, acknowledged, saved


def test_killed_a_few_times(folder):
    events, acknowledged, _ = run(folder, kills=6)
    assert acknowledged > 6
    assert events > 0


@pytest.mark.slow
def test_killed_a_hundred_times(folder, record_testsuite_property):
    events, acknowledged, saved = run(folder, kills=120)
    record_testsuite_property("events, acknowledged, saved", (events, acknowledged, saved))
    assert acknowledged > 120
    assert events > 100
    assert saved > 10
