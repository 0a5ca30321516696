"""What tests ask of a session: its maps, and whether a run from scratch gives the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.events import Job, finish
from napari_disca.core.tiling import Window
from napari_disca.session.session import MAPS, Session


def run(session: Session, job: Job[Any]) -> Any:
    """Run a job of a session to its end; what it returns."""
    return finish(job, session.handle)


def drawn(session: Session, name: str) -> NDArray[np.uint8]:
    """All labels of a map, as they are now."""
    return session.maps[name].read(Window.whole(session.raster.shape))


def refined(session: Session) -> dict[str, NDArray[np.uint8]]:
    """All labels of every map, once all are up to date."""
    run(session, session.refine())
    return {name: drawn(session, name) for name in MAPS}


def from_scratch(session: Session) -> Session:
    """A session that never knew anything but the step that this one is at, with its maps."""
    other = Session(session.raster, session.network, compute=session.compute)
    other.document._record(session.document.step)
    run(other, other.refine())
    return other


def assert_equal_to_from_scratch(session: Session) -> None:
    """Maps and uncertainty are up to date, and those of a run from scratch pixel for pixel."""
    other = from_scratch(session)
    for name in MAPS:
        assert session.map_state.up_to_date(name) == 1.0
        np.testing.assert_array_equal(drawn(session, name), drawn(other, name), err_msg=name)
        np.testing.assert_array_equal(
            session.uncertainty[name], other.uncertainty[name], err_msg=name
        )
