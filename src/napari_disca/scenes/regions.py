"""The two regions of scenes: what is built and grown there, and how it looks.

Colours are those of the sensor in sunlight, 0 to 255; lengths are in metres. To add a region,
add one `Region` to `ATLAS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from napari_disca.networks.card import LandClass

Colour: TypeAlias = tuple[float, float, float]

BUILDING, LAND, ROAD, VEGETATION, WATER = range(5)
#: Label of pixels without data.
NO_DATA = 255

LAND_COVER: tuple[LandClass, ...] = (
    LandClass("building", "#d95f02"),
    LandClass("land", "#e6d3a3"),
    LandClass("road", "#7570b3"),
    LandClass("vegetation", "#1b9e3e"),
    LandClass("water", "#2c7fb8"),
)


@dataclass(frozen=True, slots=True)
class Surface:
    """Ground of two covers: `first`, with patches of `second` where a random field is high.

    Attributes
    ----------
    first, second : Colour
    labels : (int, int)
        Classes of the two.
    threshold : float
        Standard deviations above which the second shows: 0 is half and half, 3 is never.
    texture : float
        Strength of the texture; 1 is a lawn.
    """

    first: Colour
    second: Colour
    labels: tuple[int, int]
    threshold: float = 1.2
    texture: float = 1.0


@dataclass(frozen=True, slots=True)
class Radiometry:
    """Light, air and sensor.

    Attributes
    ----------
    shadow : complex
        End of the shadow of an object one metre high: metres east + i metres south.
    shade : Colour
        Share of the light that is left in shadow.
    haze : Colour
        Colour of the air.
    haze_share : float
        Share of the haze in the image.
    gain : Colour
        The sensor's colour cast.
    blur : float
        Standard deviation of the point spread function in pixels.
    noise : float
        Standard deviation of the sensor's noise in grey values.
    """

    shadow: complex
    shade: Colour
    haze: Colour
    haze_share: float
    gain: Colour
    blur: float
    noise: float


@dataclass(frozen=True, slots=True)
class Region:
    """A region with its buildings, fields and radiometry.

    Attributes
    ----------
    name : str
    epsg : int
        Its UTM zone.
    origin : (float, float)
        East and north of the top-left corner of every scene, in metres.
    first_seed : int
        Added to a scene's seed, so that seed 0 shows every class.
    sandy : bool
        Whether wind blows sand over the ground and the kerbs, and palms grow.
    cell, jitter, bend : float
        Distance of crossroads in metres, how far they are moved relative to it, and how much
        roads wind in metres.
    quiet, settled, centre : tuple of str
        Uses of land outside, in and in the middle of towns; a use named twice is twice as frequent.
    light : Radiometry
    surfaces : dict
        Surfaces by name.
    crops : tuple of Surface
        What grows, or lies bare, on fields.
    roofs, flats, halls, crowns : tuple of Colour
        Pitched roofs, flat roofs, industrial roofs, trees.
    asphalt, pavement, track, deep, shallow, shore : Colour
    lakes, rivers : float
        Higher is more lakes (standard deviations, negative) and wider rivers (0 for none).
    """

    name: str
    epsg: int
    origin: tuple[float, float]
    first_seed: int
    sandy: bool
    cell: float
    jitter: float
    bend: float
    quiet: tuple[str, ...]
    settled: tuple[str, ...]
    centre: tuple[str, ...]
    light: Radiometry
    surfaces: dict[str, Surface]
    crops: tuple[Surface, ...]
    roofs: tuple[Colour, ...]
    flats: tuple[Colour, ...]
    halls: tuple[Colour, ...]
    crowns: tuple[Colour, ...]
    asphalt: Colour
    pavement: Colour
    track: Colour
    deep: Colour
    shallow: Colour
    shore: Colour
    lakes: float
    rivers: float


_GREEN = (VEGETATION, VEGETATION)
_BARE = (LAND, LAND)

_TEMPERATE = Region(
    name="temperate",
    epsg=32631,
    origin=(448_000.0, 5_412_000.0),
    first_seed=15,
    sandy=False,
    cell=138.0,
    jitter=0.2,
    bend=7.0,
    quiet=("fields", "fields", "fields", "forest", "meadow"),
    settled=("houses", "houses", "houses", "houses", "terraces", "park", "fields"),
    centre=("houses", "terraces", "terraces", "apartments", "apartments", "works"),
    light=Radiometry(
        shadow=-0.72 - 0.62j,
        shade=(0.34, 0.38, 0.47),
        haze=(150, 165, 185),
        haze_share=0.05,
        gain=(1.0, 1.0, 0.98),
        blur=0.62,
        noise=1.6,
    ),
    surfaces={
        "verge": Surface((103, 110, 72), (142, 130, 104), (VEGETATION, LAND), 1.6, 1.0),
        "garden": Surface((92, 106, 66), (136, 126, 102), (VEGETATION, LAND), 1.5, 1.1),
        "lawn": Surface((99, 117, 71), (126, 124, 84), _GREEN, 0.8, 0.7),
        "meadow": Surface((108, 116, 74), (137, 131, 90), _GREEN, 0.5, 1.0),
        "forest": Surface((52, 66, 42), (84, 78, 58), _GREEN, 1.0, 1.4),
        "yard": Surface((139, 137, 133), (122, 116, 106), _BARE, 0.6, 0.8),
        "court": Surface((150, 146, 140), (101, 115, 70), (LAND, VEGETATION), 0.7, 0.8),
    },
    crops=(
        Surface((86, 110, 66), (102, 118, 74), _GREEN, 0.6, 0.8),
        Surface((114, 130, 76), (128, 135, 88), _GREEN, 0.6, 0.6),
        Surface((72, 94, 60), (90, 104, 68), _GREEN, 0.8, 0.9),
        Surface((140, 117, 93), (120, 98, 78), _BARE, 0.3, 1.3),
        Surface((160, 138, 112), (142, 118, 94), _BARE, 0.4, 1.1),
        Surface((186, 168, 122), (168, 148, 106), _BARE, 0.4, 0.9),
    ),
    roofs=(
        (148, 98, 80),
        (134, 88, 74),
        (158, 110, 90),
        (122, 86, 76),
        (112, 106, 104),
        (94, 92, 95),
        (126, 114, 106),
        (144, 102, 86),
        (108, 92, 84),
    ),
    flats=((150, 149, 148), (172, 170, 166), (120, 120, 122), (138, 132, 126)),
    halls=((176, 180, 186), (196, 196, 194), (146, 152, 160), (120, 136, 156), (158, 152, 146)),
    crowns=((58, 80, 44), (70, 94, 50), (50, 70, 44), (86, 100, 56), (64, 84, 56)),
    asphalt=(108, 107, 109),
    pavement=(152, 149, 145),
    track=(166, 150, 126),
    deep=(34, 50, 54),
    shallow=(74, 86, 70),
    shore=(130, 120, 92),
    lakes=-1.55,
    rivers=0.075,
)

_ARID = Region(
    name="arid",
    epsg=32640,
    origin=(324_000.0, 2_788_000.0),
    first_seed=56,
    sandy=True,
    cell=152.0,
    jitter=0.12,
    bend=3.5,
    quiet=("desert", "desert", "desert", "scrub", "grove"),
    settled=("compounds", "compounds", "compounds", "compounds", "desert", "grove"),
    centre=("compounds", "blocks", "blocks", "works"),
    light=Radiometry(
        shadow=0.55 - 0.28j,
        shade=(0.42, 0.42, 0.46),
        haze=(208, 200, 188),
        haze_share=0.15,
        gain=(1.03, 1.0, 0.95),
        blur=0.85,
        noise=2.6,
    ),
    surfaces={
        "verge": Surface((200, 186, 164), (178, 163, 142), _BARE, 0.5, 0.9),
        "garden": Surface((198, 186, 168), (178, 167, 150), _BARE, 0.6, 0.9),
        "lawn": Surface((92, 116, 64), (158, 146, 104), (VEGETATION, LAND), 1.1, 0.9),
        "desert": Surface((208, 192, 166), (180, 162, 136), _BARE, 0.3, 0.9),
        "scrub": Surface((190, 174, 148), (164, 149, 126), _BARE, 0.2, 1.3),
        "grove": Surface((164, 146, 112), (112, 118, 70), (LAND, VEGETATION), 0.3, 1.2),
        "yard": Surface((188, 178, 162), (166, 152, 134), _BARE, 0.5, 0.9),
        "court": Surface((196, 186, 168), (178, 166, 148), _BARE, 0.8, 0.7),
    },
    crops=(
        Surface((82, 112, 58), (116, 128, 72), _GREEN, 0.6, 0.8),
        Surface((98, 126, 62), (150, 142, 96), (VEGETATION, LAND), 1.1, 0.9),
        Surface((172, 148, 116), (156, 130, 100), _BARE, 0.4, 1.1),
    ),
    roofs=((226, 220, 208), (210, 200, 182), (238, 235, 228), (196, 184, 166), (218, 213, 206)),
    flats=(
        (228, 222, 210),
        (212, 202, 186),
        (242, 238, 232),
        (200, 188, 170),
        (220, 215, 210),
        (186, 184, 182),
    ),
    halls=((222, 222, 220), (236, 234, 228), (176, 190, 204), (206, 196, 178)),
    crowns=((74, 88, 50), (86, 98, 58), (64, 82, 48), (98, 100, 64)),
    asphalt=(116, 112, 108),
    pavement=(194, 186, 172),
    track=(214, 200, 176),
    deep=(28, 92, 96),
    shallow=(92, 158, 142),
    shore=(228, 212, 180),
    lakes=-1.5,
    rivers=0.0,
)

ATLAS: dict[str, Region] = {region.name: region for region in (_TEMPERATE, _ARID)}
REGIONS: tuple[str, ...] = tuple(ATLAS)
