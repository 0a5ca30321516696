"""The process of `test_killed`, until it is killed: it clicks, adapts, locks, saves at random."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from builders import make_tiny_network, set_tiles
from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click
from napari_disca.annotations.strokes import BrushPath
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.exports import write_geotiff
from napari_disca.networks import load_network
from napari_disca.raster import open_raster
from napari_disca.recipes import Automatic, Disca
from napari_disca.session import restore
from napari_disca.session.journal.journal_paths import find_journals
from napari_disca.session.session import MAPS, Session

#: Size and halo.
TILES = (56, 8)
RECIPES = (
    Disca(passes=1, rate=3e-2, crop_size=64),
    Disca(parameters="all", optimiser="sgd", rate=1e-4, passes=1, start="current", anchor="guided"),
    Automatic(passes=2, rate=3e-2, crop_size=64, similarity=0.5),
)


def prepare() -> None:
    """What the killed one and the one who looks must have in common."""
    torch.set_num_threads(1)
    set_tiles(pytest.MonkeyPatch(), *TILES)  # for as long as the process lives
    make_tiny_network()


def state_of(session: Session) -> tuple[Any, ...]:
    """What a user would recognise a session by."""
    return (
        tuple((c.row, c.col, c.label) for c in session.document.clicks),
        tuple(step.title for step in session.document.history),
        session.document.position,
        tuple(lock.digest for lock in session.document.step.locks),
        session.document.adapted.answer if session.document.adapted is not None else "",
        session.document.marks,
        tuple(land.name for land in session.document.classes),
    )


def draw(session: Session, rng: random.Random) -> None:
    """Draw something, in one of the ways there are."""
    shape = session.raster.shape
    place = [(rng.randrange(shape[0]) + 0.5, rng.randrange(shape[1]) + 0.5) for _ in range(3)]
    label = rng.randrange(3)
    if len(session.document.strokes) > 4:
        session.document.unlock(rng.choice(session.document.strokes))
    elif rng.random() < 0.3:
        top, left = (int(at) for at in place[0])
        area = Area.rectangle(Window(top, left, 20, 20))
        session.drawing.draw(area, label, tool="lasso", teaches=rng.random() < 0.5)
    elif rng.random() < 0.5:
        session.drawing.draw(BrushPath(tuple(place), 6.5), rng.choice((label, None)))
    elif session.map_state.up_to_date(session.document.corrected) == 1.0:
        session.drawing.draw_patch(int(place[0][0]), int(place[0][1]), label)


def maps_of(session: Session) -> dict[str, str]:
    """Hash of all pixels of each map."""
    whole = Window.whole(session.raster.shape)
    return {name: hash_of(session.maps[name].read(whole)) for name in MAPS}


def hash_of(labels: Any) -> str:
    """Hash of a map."""
    return hashlib.blake2b(labels.tobytes(), digest_size=16).hexdigest()


def work(folder: str, seed: int, pipe: Any) -> None:
    """Go on with the session of a folder for ever, and tell what is done.

    Sends ``("did", events in the journal, state, hashes of the maps or None)`` after every verb,
    and ``("saves", hashes)`` before the maps are saved.
    """
    prepare()
    here = Path(folder)
    raster = open_raster(here / "image.tif")
    network = load_network(here / "tiny.safetensors")
    found = find_journals(raster)
    if found:
        session = restore.resume(found[0], raster, network)
    else:
        session = Session(raster, network, compute=restore.Compute.choose("cpu", "float32"))
        restore.begin(session, str(here / "tiny.safetensors"))
    assert session.document.journal is not None
    path = session.document.journal.path
    rng = random.Random(seed)

    def tell(maps: dict[str, str] | None = None) -> None:
        events = path.read_bytes().count(b"\n") - 1 if path.exists() else 0
        pipe.send(("did", events, state_of(session), maps))

    def pixel() -> tuple[int, int]:
        return rng.randrange(raster.shape[0]), rng.randrange(raster.shape[1])

    tell()
    while True:
        verb = rng.random()
        if verb < 0.5 or not session.document.clicks:
            session.document.click(*pixel(), rng.randrange(3))
        elif verb < 0.6 or len(session.document.clicks) > 30:
            session.document.remove(rng.choice(session.document.clicks.items))
        elif verb < 0.65:
            session.document.move(rng.choice(session.document.clicks.items), *pixel())
        elif verb < 0.7:
            session.document.relabel(rng.choice(session.document.clicks.items), rng.randrange(3))
        elif verb < 0.75:
            session.document.undo()
        elif verb < 0.78:
            session.document.redo()
        elif verb < 0.82:
            if len(session.document.locks) > 2:
                session.document.unlock(rng.choice(session.document.locks))
            else:
                session.document.lock(Area.rectangle(Window(*pixel(), 20, 20)))
        elif verb < 0.85 and session.document.adapted is not None:
            area = None if rng.random() < 0.3 else [Area.rectangle(Window(*pixel(), 20, 20))]
            if len(session.document.verdicts) > 2:
                session.document.unlock(rng.choice(session.document.verdicts))
            elif rng.random() < 0.3:
                session.proposals.only_near()
            else:
                rng.choice((session.proposals.accept, session.proposals.reject))(area)
        elif verb < 0.87:
            session.document.set_classes(
                session.document.class_table.renamed(rng.randrange(3), f"land {rng.randrange(9)}")
            )
        elif verb < 0.89:
            draw(session, rng)
        elif verb < 0.9:
            window = Window(*pixel(), 20, 20)
            if rng.random() < 0.5:
                click = Click(*pixel(), rng.randrange(3))
                session.review.mark(window, "wrong", click=click)
            else:
                session.review.mark(window, rng.choice(("seen", "unsure")), note="a hedge")
        elif verb < 0.93:
            finish(session.adapt(rng.choice(RECIPES)), session.handle)
        else:
            finish(session.refine(), session.handle)
            maps = maps_of(session)
            tell(maps)
            pipe.send(("saves", maps))
            for name in MAPS:
                finish(
                    write_geotiff(
                        session.maps[name],
                        here / f"{name}.tif",
                        raster=raster,
                        classes=session.document.classes,
                    )
                )
                session.document.exported(name, f"{name}.tif")
        tell()
