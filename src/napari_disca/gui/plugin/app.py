"""Opens napari with the panel docked, for the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari import Viewer


def open_window(
    images: Sequence[Path] = (),
    *,
    demo: bool = False,
    weights: str | None = None,
    allow_torchscript: bool = False,
    block: bool = True,
) -> Viewer:
    """Open napari with images and the panel docked.

    Parameters
    ----------
    images : sequence of Path
    demo : bool
        Open the sample scene and compute its map, with some clicks and an adaptation if the default
        network is used.
    weights : str, optional
        Name or file of the network to choose.
    allow_torchscript : bool
        The user agrees that a TorchScript file is run.
    block : bool
        Return when the window is closed.

    Returns
    -------
    napari.Viewer
    """
    import napari
    from qtpy.QtCore import QTimer

    from napari_disca.gui.plugin.sample_work import begin_sample
    from napari_disca.gui.plugin.samples import scene_file
    from napari_disca.gui.tasks.opening.layer_data import layer_data
    from napari_disca.gui.window.widget import DiscaWidget

    viewer = napari.Viewer(title="napari-disca")
    files = [Path(image) for image in images] or ([scene_file("temperate")] if demo else [])
    for file in files:
        data, keywords, kind = layer_data(file)
        getattr(viewer, f"add_{kind}")(data, **keywords)
    panel = DiscaWidget(viewer)
    viewer.window.add_dock_widget(panel, name="Correct a map", area="right")
    if weights is not None:
        panel.image_panel.choose_network(weights, allow_torchscript=allow_torchscript)
    if demo and weights is None:
        begin_sample(panel)
    elif demo:
        panel.segment()
    # The canvas has its size only once the window is laid out.
    QTimer.singleShot(300, viewer.reset_view)
    if block:
        napari.run()
    return viewer
