"""A journal and the maps that it gave when it was recorded: what was done once is done alike today.

Recorded at commit 5101a3b, on one thread: nine clicks where `landcover-5` errs on a generated
scene, the default recipe at full strength in two passes, an area locked in either map, a click
undone, and three clicks moved, relabelled and removed, so that the network is learned again.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.networks import Network, bundled_weights, fingerprint, load_network
from napari_disca.raster import open_raster
from napari_disca.scenes import Scene
from napari_disca.session.journal.journal_format import Header, read_journal
from napari_disca.session.restore import replay

DATA = Path(__file__).parent / "data"
JOURNAL, MAPS = DATA / "recorded-session.jsonl", DATA / "recorded-session.npz"
SHAPE = (576, 640)


def network_of(header: Header) -> Network:
    """The network by what it is, for its name has gone to a better one."""
    for name in bundled_weights():
        network = load_network(name)
        network.card = replace(network.card, name=header.network_name)
        if fingerprint(network) == header.network:
            return network
    pytest.fail(f"no network comes with the package that has the weights {header.network}")


@pytest.fixture
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_one_thread")
def test_a_recorded_session_gives_its_maps():
    header = read_journal(JOURNAL).header
    # An array, as when it was recorded: a file's size would be part of the image's fingerprint.
    raster = open_raster(Scene(SHAPE, seed=11, region="arid").image())
    session = replay(JOURNAL, raster, network_of(header), cache=False)
    finish(session.refine(), session.handle)
    with np.load(MAPS) as recorded:
        for name in ("initial", "disir", "disca"):
            shown = session.maps[name].read(Window.whole(SHAPE))
            differing = float((shown != recorded[name]).mean())
            # On the processor it was recorded on it is 0. Another one adds up float32 in another
            # order, which tips pixels whose two best classes are equally likely.
            assert differing <= 1e-3, f"{name}: {differing:.3%} of the pixels differ"
    session.close()
