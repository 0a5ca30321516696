"""Garbage collections look through little while a session is open, and through all afterwards."""

from __future__ import annotations

import gc
import weakref

import pytest

from napari_disca.gui.toolkit.garbage_collection import collect_objects, spare_objects


class Cycle:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _nothing_frozen():
    # The tests of the window freeze what they have imported, to be faster.
    frozen = gc.get_freeze_count()
    gc.unfreeze()
    yield
    if frozen:
        gc.freeze()


@pytest.fixture
def owners():
    owners = object(), object()
    yield owners
    for owner in owners:
        collect_objects(owner)


def test_what_was_there_is_spared_until_all_have_ended(owners):
    cycle = Cycle()
    gone = weakref.ref(cycle)
    for owner in owners:
        spare_objects(owner)
    del cycle
    gc.collect()
    assert gone() is not None
    collect_objects(owners[0])
    gc.collect()
    assert gone() is not None
    collect_objects(owners[1])
    gc.collect()
    assert gone() is None


def test_what_comes_later_is_collected(owners):
    spare_objects(owners[0])
    gone = weakref.ref(Cycle())
    gc.collect()
    assert gone() is None


def test_what_the_program_has_frozen_stays_frozen(owners):
    gc.freeze()
    spare_objects(owners[0])
    collect_objects(owners[0])
    assert gc.get_freeze_count()
    gc.unfreeze()


def test_objects_are_spared_as_long_as_a_session_is_open(opened):
    assert gc.get_freeze_count() > 10_000
    opened.panel.control.close()
    assert not gc.get_freeze_count()
