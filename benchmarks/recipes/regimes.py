"""What the study measures on: three kinds of images that a network meets.

The network without Banepa is trained with

    napari-disca train --images DATA/drone_buildings/images --masks DATA/drone_buildings/masks \\
        --only kampala --only zanzibar_0 --classes other,building --ground-resolution 0.15 \\
        --scenes 0.1 --steps 3000 --batch 8 --name buildings-without-banepa \\
        --data "drone_buildings without Banepa" -o buildings-without-banepa.safetensors

and given by `--network buildings-without-banepa.safetensors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_disca.core.errors import DataError
from napari_disca.evaluation import ClassMap, Settings
from napari_disca.evaluation.records import Mode
from napari_disca.networks import Network
from napari_disca.training.pairing import Pair, pairs

#: Beside the repository.
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@dataclass(frozen=True, slots=True)
class Regime:
    """Images, and the network that meets them.

    Parameters
    ----------
    title : str
    network : str or None
        Name of a network that comes with the program; None: the user gives the file.
    folder : str
        Sub-folder of the data, with ``images/`` and ``masks/``.
    only : tuple of str
        Images whose name contains one of them; empty: all.
    images : int
        Parts that are measured by default.
    crop : int
        Side of the parts in the image's pixels; about 1024 pixels of the network, where the images
        are as large. Ten clicks are felt in most of a smaller part, where all recipes are DISIR.
    factor : float or None
        Network pixels per image pixel; None: from the ground resolutions.
    class_map : str or None
        See `napari_disca.evaluation.ClassMap.parse`.
    """

    title: str
    network: str | None
    folder: str
    only: tuple[str, ...] = ()
    images: int = 24
    crop: int = 1024
    factor: float | None = None
    class_map: str | None = None

    def pairs(self, data: Path) -> list[Pair]:
        """Images and masks in the data folder.

        Raises
        ------
        DataError
            If the folder is not there or holds none of them.
        """
        folder = data / self.folder
        if not folder.is_dir():
            raise DataError(
                f"{folder} is not there, which {self.title!r} is measured on; give the folder "
                "that holds it with --data"
            )
        found = pairs(folder)
        if self.only:
            found = [p for p in found if any(part in p.name for part in self.only)]
        if not found:
            raise DataError(f"no image's name in {folder} contains {' or '.join(self.only)}")
        return found

    def settings(self, network: Network, mode: Mode, images: int | None) -> Settings:
        """How the program measures these images."""
        classes = network.card.classes
        return Settings(
            clicks=10,
            mode=mode,
            factor=self.factor,
            class_map=ClassMap.parse(self.class_map, classes) if self.class_map else None,
            crop=self.crop,
            max_images=images or self.images,
        )


REGIMES = {
    "in-domain": Regime(
        "In-domain: areas the network was trained on",
        "landcover-5",
        "satellite_landcover",
        ("tile1", "tile4", "tile6", "tile8"),
    ),
    "unseen-areas": Regime(
        "Unseen areas of the same kind",
        "landcover-5",
        "satellite_landcover",
        ("tile2", "tile3", "tile5"),
        images=27,
    ),
    "satellite-to-drone": Regime(
        "Satellite to drone: another sensor, building or not",
        "landcover-5",
        "drone_buildings",
        images=10,
        crop=4096,
        factor=0.25,
        class_map="building=1,*=0",
    ),
    "buildings-held-out": Regime(
        "Buildings in a mosaic held out",
        "buildings",
        "drone_buildings",
        ("zanzibar_1",),
        images=4,
        crop=2048,
    ),
    "buildings-to-banepa": Regime(
        "Buildings in another country: trained without Banepa",
        None,
        "banepa_buildings",
        images=30,
        crop=512,
    ),
}
