"""A session whose device has no memory left goes on on the CPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import rasterio
import torch

from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.batch.streaming import MapStream
from napari_disca.core.events import Note, finish
from napari_disca.core.tiling import Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.networks.compute import Compute
from napari_disca.raster import open_raster, quiet_opening
from napari_disca.recipes import Disca
from napari_disca.session.session import Session


class Elsewhere(Compute):
    """A device whose memory may be full; it is the CPU in disguise."""

    @property
    def last_resort(self) -> bool:
        return False

    def on_cpu(self) -> Compute:
        return Compute(torch.device("cpu"), torch.float32)


@dataclass(frozen=True, slots=True)
class Hungry(Disca):
    """Needs more memory than any device but the CPU has."""

    def adapt(self, network, crops, *, current=None, compute, seed=0):
        job = Disca.adapt(self, network, crops, current=current, compute=compute, seed=seed)
        yield next(job)
        if not compute.last_resort:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return (yield from job)


def events(session, job):
    seen = []
    try:
        while True:
            event = next(job)
            seen.append(event)
            session.handle(event)
    except StopIteration:
        return seen


def test_learning_goes_on_on_the_cpu_and_says_so(image, network):
    elsewhere = Elsewhere(torch.device("cpu"), torch.float32)
    sessions = {
        "full": (Session(open_raster(image), network, compute=elsewhere), Hungry(passes=3)),
        "not": (Session(open_raster(image), network, compute=elsewhere), Disca(passes=3)),
    }
    maps, notes = {}, {}
    for name, (session, recipe) in sessions.items():
        session.document.click(20, 30, 1)
        seen = events(session, session.adapt(recipe))
        notes[name] = [event.text for event in seen if isinstance(event, Note)]
        maps[name] = session.maps["disca"].read(Window.whole(session.raster.shape))
        assert session.map_state.up_to_date("disca") == 1
    assert notes == {
        "full": ["The memory of the cpu device is full: learning on the CPU"],
        "not": [],
    }
    np.testing.assert_array_equal(maps["full"], maps["not"])


@pytest.fixture
def full_card(monkeypatch, compute):
    """A graphics card on which nothing finds room, neither networks nor pixels."""
    for holder in (torch.nn.Module, torch.Tensor):

        def refused(self, *args, _real=holder.to, **options):
            if any(isinstance(a, torch.device) and a.type == "cuda" for a in args):
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
            return _real(self, *args, **options)

        monkeypatch.setattr(holder, "to", refused)
    monkeypatch.setattr(Elsewhere, "on_cpu", lambda self: compute)
    return Elsewhere(torch.device("cuda"), torch.float32)


def test_a_card_that_is_full_from_the_beginning_is_left_for_the_cpu(
    image, network, compute, full_card
):
    maps, notes = {}, []
    for name, where in (("full", full_card), ("cpu", compute)):
        session = Session(open_raster(image), network, compute=where)
        seen = events(session, session.predict())
        session.document.click(20, 30, 1)
        seen += events(session, session.adapt(Disca(passes=3)))
        notes.append([event.text for event in seen if isinstance(event, Note)])
        maps[name] = [m.read(Window.whole(session.raster.shape)) for m in session.maps.values()]
    np.testing.assert_array_equal(maps["full"], maps["cpu"])
    drawing, learning = (
        f"The memory of the cuda device is full: {how} on the CPU"
        for how in ("continuing", "learning")
    )
    assert set(notes[0]) == {drawing, learning}
    assert notes[1] == []


def test_a_map_on_the_command_line_is_drawn_on_the_cpu_where_the_card_is_full(
    image, network, compute, full_card, tmp_path
):
    maps = []
    for where in (full_card, compute):
        network_view = NetworkView(open_raster(image), network.card)
        stream = MapStream(network_view, network, where, Clicks((Click(20, 30, 1),)))
        notes = []
        stream, _ = finish(stream.adapt(Disca(passes=3)))
        finish(stream.write(tmp_path / "map.tif"), notes.append)
        with quiet_opening(), rasterio.open(tmp_path / "map.tif") as file:
            maps.append(file.read(1))
        assert len([n for n in notes if isinstance(n, Note)]) == (where is full_card)
    np.testing.assert_array_equal(*maps)


def test_on_the_cpu_a_full_memory_is_an_error_and_nothing_is_adopted(image, network, compute):
    @dataclass(frozen=True, slots=True)
    class Hungrier(Disca):
        def adapt(self, network, crops, *, current=None, compute, seed=0):
            yield from ()
            raise MemoryError

    session = Session(open_raster(image), network, compute=compute)
    session.document.click(20, 30, 1)
    with pytest.raises(MemoryError):
        events(session, session.adapt(Hungrier()))
    assert session.document.adapted is None
    assert len(session.document.clicks) == 1
