"""Shows the image as the network reads it, or in other bands, in a layer above its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Layer
from napari.utils.notifications import show_info

from napari_disca.gui.toolkit.waiting import run_on_thread
from napari_disca.gui.viewer.layers.following import Following
from napari_disca.raster import Scaling, ValueScale
from napari_disca.raster.pyramid import ImagePyramid

if TYPE_CHECKING:
    from napari import Viewer
    from napari.utils.events import Event

    from napari_disca.inference.network_view import NetworkView

#: Bands of a colour picture.
_COLOURS = 3


class Composite:
    """Shows bands of an image in a layer above it.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._layer: Image | None = None
        self._following: Following | None = None
        #: The arguments of the last `show`, and the raster and scale of its view.
        self._shown: tuple[Image, object] | None = None
        viewer.layers.events.removed.connect(self._on_removed)

    def show(
        self, image: Image | None, view: NetworkView | None, bands: tuple[int, ...] | None
    ) -> None:
        """Show bands of an image.

        Parameters
        ----------
        image : Image
        view : NetworkView
            How the network reads it. None, or no image, shows the image's own layer.
        bands : tuple of int or None
            One or three bands, stretched from their 2nd to their 98th percentile; None shows the
            network's bands, scaled as the network reads them.

        Raises
        ------
        RasterError
            If a band is not in the image.
        """
        wanted = None
        if image is not None and view is not None:
            wanted = (image, (view.raster, view.bands, view.scale, bands))
        if wanted == self._shown:
            return
        self.clear()
        if image is None or view is None:
            return
        scaling: Scaling | ValueScale = Scaling("percentile")
        if bands is None:
            bands, scaling = _of_network(view)
        # While the image is read, the window may call this again, for the same or other bands.
        self._shown = wanted
        try:
            pyramid = run_on_thread(lambda: ImagePyramid(view.raster, bands, scaling=scaling))
        except BaseException:
            if self._shown is wanted:
                self._shown = None
            raise
        if self._shown is not wanted:
            return
        pyramid.report = lambda _line: None  # the image's own layer reports it
        self._following = Following(image, show_info)
        keywords: dict[str, Any] = {} if pyramid.rgb else {"contrast_limits": _limits(pyramid)}
        layer = Image(
            pyramid.levels if len(pyramid.levels) > 1 else pyramid.levels[0],
            name=f"Bands {', '.join(map(str, pyramid.bands))}",
            rgb=pyramid.rgb,
            multiscale=len(pyramid.levels) > 1,
            metadata={"napari_disca": {"helper": True, "pyramid": pyramid}},
            **keywords,
            **self._following.placement(),
        )
        self._layer = layer
        self._add(layer, image)
        self._following.add(layer)
        if not pyramid.complete:
            from napari_disca.gui.toolkit.pyramid_builder import build_pyramid

            build_pyramid(pyramid)

    def _add(self, layer: Image, image: Image) -> None:
        """Add a layer just above the image; the active layer stays active."""
        layers = self._viewer.layers
        active = layers.selection.active
        layers.insert(layers.index(image) + 1, layer)
        layers.selection.active = active

    def clear(self) -> None:
        """Remove the layer, so that the image's own is seen."""
        layer, self._layer, self._shown = self._layer, None, None
        if self._following is not None:
            self._following.end()
            self._following = None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def end(self) -> None:
        """Disconnect from the viewer's events."""
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self.clear()

    def _on_removed(self, event: Event) -> None:
        layer: Layer = event.value
        if self._shown is not None and layer in (self._layer, self._shown[0]):
            self.clear()


def _of_network(view: NetworkView) -> tuple[tuple[int, ...], ValueScale]:
    """Return one or three bands that the network reads, and how it scales them."""
    count = _COLOURS if len(view.bands) >= _COLOURS else 1
    return view.bands[:count], view.scale.of_bands(count)


def _limits(pyramid: ImagePyramid) -> tuple[float, float]:
    low, high = pyramid.contrast_limits
    return low, high
