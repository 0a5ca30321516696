"""Images: windowed reading of files and arrays, masks of valid pixels, and georeference.

Bands count from 1, as in GDAL. A palette image is read as the red, green and blue of its palette.
Only this package and `napari_disca.gui.viewer` use other coordinates than integer ``(row, col)``
pixel indices.
"""

from napari_disca.raster.arrays import ArrayRaster
from napari_disca.raster.band_choice import default_bands
from napari_disca.raster.base import Raster
from napari_disca.raster.gdal.files import GeoRaster
from napari_disca.raster.gdal.identity import file_fingerprint, fingerprint
from napari_disca.raster.gdal.local_files import quiet_opening
from napari_disca.raster.gdal.probe import end as end_probe
from napari_disca.raster.gdal.probe import examine, stop_examining, warm
from napari_disca.raster.opening import open_raster
from napari_disca.raster.values.sampling import sample
from napari_disca.raster.values.scaling import Scaling, ValueScale, value_scale

__all__ = [
    "ArrayRaster",
    "GeoRaster",
    "Raster",
    "Scaling",
    "ValueScale",
    "default_bands",
    "end_probe",
    "examine",
    "file_fingerprint",
    "fingerprint",
    "open_raster",
    "quiet_opening",
    "sample",
    "stop_examining",
    "value_scale",
    "warm",
]
