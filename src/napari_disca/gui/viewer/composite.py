"""The image as the network reads it, or in other bands: a layer above the image's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Layer
from napari.utils.notifications import show_info

from napari_disca.gui.tasks.waiting import off_the_window
from napari_disca.gui.viewer.following import Following
from napari_disca.raster import Scaling, ValueScale
from napari_disca.raster.pyramid import ImagePyramid

if TYPE_CHECKING:
    from napari_disca.inference.network_view import NetworkView

#: Bands of a picture on the screen.
_COLOURS = 3


class Composite:
    """Shows bands of an image above it, where its layer lies.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._layer: Image | None = None
        self._following: Following | None = None
        self._shown: object = None
        viewer.layers.events.removed.connect(self._on_removed)

    def show(
        self, image: Image | None, view: NetworkView | None, bands: tuple[int, ...] | None
    ) -> None:
        """Show bands of an image.

        Parameters
        ----------
        image : Image
        view : NetworkView
            How the network reads it; None shows the image's own layer, as no image does.
        bands : tuple of int or None
            One or three bands, stretched from their 2nd to their 98th percentile; None shows
            what the network reads, as bright as it reads it.

        Raises
        ------
        RasterError
            If a band is not in the image.
        """
        wanted = None
        if image is not None and view is not None:
            wanted = (image, view.raster, view.bands, view.scale, bands)
        if wanted == self._shown:
            return
        self.clear()
        if image is None or view is None:
            return
        scaling: Scaling | ValueScale = Scaling("percentile")
        if bands is None:
            bands, scaling = _of_network(view)
        # While it waits for the image the window asks again, for the same bands or for others.
        self._shown = wanted
        try:
            pyramid = off_the_window(lambda: ImagePyramid(view.raster, bands, scaling=scaling))
        except BaseException:
            if self._shown is wanted:
                self._shown = None
            raise
        if self._shown is not wanted:
            return
        pyramid.report = lambda _line: None  # the image's own layer tells it
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
            from napari_disca.gui.tasks.pyramid_builder import prepare

            prepare(pyramid)

    def _add(self, layer: Image, image: Image) -> None:
        """Put a layer just above the image, and leave active what was."""
        layers = self._viewer.layers
        active = layers.selection.active
        layers.insert(layers.index(image) + 1, layer)
        layers.selection.active = active

    def clear(self) -> None:
        """Show the image's own layer."""
        layer, self._layer, self._shown = self._layer, None, None
        if self._following is not None:
            self._following.end()
            self._following = None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def end(self) -> None:
        """Hear no more of the viewer."""
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self.clear()

    def _on_removed(self, event: Any) -> None:
        layer: Layer = event.value
        if self._shown is not None and layer in (self._layer, self._shown[0]):  # type: ignore[index]
            self.clear()


def _of_network(view: NetworkView) -> tuple[tuple[int, ...], ValueScale]:
    """Bands that the network reads, as many as a picture has, and how it scales them."""
    count = _COLOURS if len(view.bands) >= _COLOURS else 1
    return view.bands[:count], view.scale.of_bands(count)


def _limits(pyramid: ImagePyramid) -> tuple[float, float]:
    low, high = pyramid.contrast_limits
    return low, high
