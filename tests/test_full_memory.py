"""A session whose device has no memory left goes on on the CPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from napari_disca.compute import Compute
from napari_disca.events import Note
from napari_disca.raster import open_raster
from napari_disca.recipes import Disca
from napari_disca.session import Session
from napari_disca.tiling import Window


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
        session.click(20, 30, 1)
        seen = events(session, session.adapt(recipe))
        notes[name] = [event.text for event in seen if isinstance(event, Note)]
        maps[name] = session.maps["disca"].read(Window.whole(session.raster.shape))
        assert session.up_to_date("disca") == 1
    assert notes == {
        "full": ["The memory of the cpu device is full: learning on the CPU"],
        "not": [],
    }
    np.testing.assert_array_equal(maps["full"], maps["not"])


def test_on_the_cpu_a_full_memory_is_an_error_and_nothing_is_adopted(image, network, compute):
    @dataclass(frozen=True, slots=True)
    class Hungrier(Disca):
        def adapt(self, network, crops, *, current=None, compute, seed=0):
            yield from ()
            raise MemoryError

    session = Session(open_raster(image), network, compute=compute)
    session.click(20, 30, 1)
    with pytest.raises(MemoryError):
        events(session, session.adapt(Hungrier()))
    assert session.adapted is None
    assert len(session.clicks) == 1
