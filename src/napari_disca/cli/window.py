"""The commands that open napari: ``demo`` and ``open``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_disca.cli.doctor import has_screen
from napari_disca.cli.options import DemoOptions, OpenOptions
from napari_disca.core.errors import DiscaError


def demo(options: DemoOptions) -> int:
    """Open napari with the sample scene; return the exit code when it is closed."""
    return _window((), options, demo=True)


def open_images(options: OpenOptions) -> int:
    """Open napari with images; return the exit code when it is closed."""
    missing = [str(path) for path in options.images if not path.exists()]
    if missing:
        raise DiscaError(f"{missing[0]} does not exist; check the path")
    return _window(options.images, options.window, demo=False)


def _window(images: Sequence[Path], options: DemoOptions, *, demo: bool) -> int:
    if not has_screen():
        # Qt would end the process.
        raise DiscaError(
            "there is no screen to open a window on (DISPLAY is not set); run under a desktop or "
            "xvfb-run, or use 'napari-disca predict' and 'refine'"
        )
    # torch before Qt: on Windows the other order can fail to load torch's libraries.
    import torch  # noqa: F401

    try:
        # Imports napari and Qt.
        from napari_disca.gui.plugin import app
        from napari_disca.gui.window import widget  # noqa: F401
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "napari_disca":
            raise  # a bug
        raise DiscaError(
            f"napari or Qt is not installed ({error}); install them with "
            'pip install "napari-disca[all]"'
        ) from error
    app.open_window(
        images, demo=demo, weights=options.weights, allow_torchscript=options.allow_torchscript
    )
    return 0
