from __future__ import annotations

import numpy as np
import pytest
import rasterio
import tifffile

from builders import write_image
from napari_disca.annotations.simulated_annotator import IGNORE
from napari_disca.core.errors import DataError
from napari_disca.networks import LandClass
from napari_disca.training import masks
from napari_disca.training.mask_codings import POTSDAM_CLASSES
from napari_disca.training.mask_contents import coding_of as coding_of_classes
from napari_disca.training.mask_files import Grid

IDS = np.array([[0, 1, 2], [4, IGNORE, 1]], dtype=np.uint8)


def classes_of(count):
    """Classes whose colours no mask here has."""
    return [LandClass(f"class {i}", f"#c8{i:02x}64") for i in range(count)]


def read_mask(path, shape, count, **options):
    coding = options.get("coding", "auto")
    return masks.MaskReader([path], classes_of(count), coding).read(path, Grid(shape))


def coding_of(paths, count):
    return coding_of_classes(paths, classes_of(count))


def write(path, pixels, **profile):
    """Write (h, w) or (bands, h, w) pixels with rasterio."""
    # A georeference, so that rasterio does not warn that there is none.
    transform = rasterio.Affine(1, 0, 0, 0, -1, 9)
    driver = "PNG" if path.suffix == ".png" else "GTiff"
    return write_image(path, pixels, driver=driver, transform=transform, **profile)


def colours(labels: np.ndarray) -> np.ndarray:
    """Potsdam's RGB mask of some labels, black where they are 255."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(POTSDAM_CLASSES)] = [c.rgb for c in POTSDAM_CLASSES]
    return table[labels].transpose(2, 0, 1)


def test_class_ids_come_back_as_they_are(tmp_path):
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, IDS)
    np.testing.assert_array_equal(read_mask(path, IDS.shape, 5), IDS)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "float32"])
def test_class_ids_of_other_types(tmp_path, dtype):
    path = write(tmp_path / "m.tif", IDS.astype(dtype))
    read = read_mask(path, IDS.shape, 5)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, IDS)


@pytest.mark.parametrize(("dtype", "value"), [("int16", -3), ("uint16", 256), ("float32", 0.5)])
def test_what_cannot_be_a_class_id_is_refused(tmp_path, dtype, value):
    path = write(tmp_path / "odd.tif", np.array([[0, value]], dtype=dtype))
    with pytest.raises(DataError, match=rf"odd\.tif holds the values .*{value}.*neither class id"):
        read_mask(path, (1, 2), 5)
    with pytest.raises(DataError, match=rf"odd\.tif holds the value {value}"):
        read_mask(path, (1, 2), 5, coding="ids")


@pytest.mark.parametrize(("dtype", "nodata"), [("int16", -9999), ("float32", np.nan)])
def test_no_data_that_is_no_class_is_not_known(tmp_path, dtype, nodata):
    path = write(tmp_path / "m.tif", np.array([[0, nodata, 2]], dtype=dtype), nodata=nodata)
    assert read_mask(path, (1, 3), 5).tolist() == [[0, IGNORE, 2]]


def test_no_data_that_is_a_class_stays_a_class(tmp_path):
    path = write(tmp_path / "m.tif", IDS, nodata=0)
    np.testing.assert_array_equal(read_mask(path, IDS.shape, 5), IDS)


def test_indices_of_a_palette_are_ids(tmp_path):
    path = write(tmp_path / "m.png", IDS, palette={i: (10 * i, 7, 255 - i) for i in range(256)})
    np.testing.assert_array_equal(read_mask(path, IDS.shape, 5), IDS)


def test_a_tall_mask_is_read_strip_by_strip(tmp_path):
    tall = np.random.default_rng(0).integers(0, 5, (1300, 7)).astype(np.uint8)
    path = write(tmp_path / "m.tif", tall)
    np.testing.assert_array_equal(read_mask(path, tall.shape, 5), tall)


def test_inria_and_airs_masks_of_0_and_255(tmp_path):
    path = write(tmp_path / "m.tif", np.array([[0, 255, 255, 0]], np.uint8))
    assert read_mask(path, (1, 4), 2).tolist() == [[0, 1, 1, 0]]
    # The same file with more classes is one of ids, most of it not known; and so on request.
    assert read_mask(path, (1, 4), 5).tolist() == [[0, 255, 255, 0]]
    assert read_mask(path, (1, 4), 2, coding="ids").tolist() == [[0, 255, 255, 0]]
    assert read_mask(path, (1, 4), 5, coding="binary255").tolist() == [[0, 1, 1, 0]]


def test_ids_of_two_classes_with_unknown_pixels_are_not_taken_for_0_and_255(tmp_path):
    path = write(tmp_path / "m.tif", np.array([[0, 1, 255, 0]], np.uint8))
    assert read_mask(path, (1, 4), 2).tolist() == [[0, 1, 255, 0]]
    with pytest.raises(DataError, match="coded as ids, not as 0 and 255"):
        read_mask(path, (1, 4), 2, coding="binary255")


def test_the_folder_decides_where_one_mask_cannot(tmp_path):
    empty = write(tmp_path / "a.tif", np.array([[0, 255]], np.uint8))
    ids = write(tmp_path / "b.tif", np.array([[0, 1]], np.uint8))
    assert coding_of([empty, ids], 2) == "ids"
    assert coding_of([empty], 2) == "binary255"
    assert coding_of([empty], 3) == "ids"


def test_potsdams_six_colours(tmp_path):
    labels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    path = write(tmp_path / "m.tif", colours(labels), photometric="RGB")
    np.testing.assert_array_equal(read_mask(path, (2, 3), 6), labels)
    # As the issue writes them, not only as our own table has them.
    by_hand = np.array(
        [[(255, 255, 255), (0, 0, 255), (0, 255, 255)], [(0, 255, 0), (255, 255, 0), (255, 0, 0)]],
        np.uint8,
    ).transpose(2, 0, 1)
    np.testing.assert_array_equal(colours(labels), by_hand)
    assert coding_of([path], 6) == "potsdam"


def test_potsdam_as_buildings(tmp_path):
    labels = np.array([[0, 1, 2, 3, 4, 5, IGNORE]], np.uint8)
    path = write(tmp_path / "m.tif", colours(labels), photometric="RGB")
    assert coding_of([path], 2) == "potsdam-buildings"
    for coding in ("auto", "potsdam-buildings"):
        assert read_mask(path, (1, 7), 2, coding=coding).tolist() == [[0, 1, 0, 0, 0, 0, IGNORE]]


def test_potsdam_forgives_compression_and_a_few_odd_pixels_but_not_another_legend(tmp_path):
    labels = np.random.default_rng(0).integers(0, 6, (40, 50)).astype(np.uint8)
    labels[0] = IGNORE  # black: the borders that Potsdam's own scores leave out
    noise = np.random.default_rng(1).integers(-20, 21, (3, 40, 50))
    pixels = np.clip(colours(labels).astype(int) + noise, 0, 255).astype(np.uint8)
    pixels[:, 5, :20] = 128
    path = write(tmp_path / "m.tif", pixels, photometric="RGB")
    labels[5, :20] = IGNORE
    np.testing.assert_array_equal(read_mask(path, (40, 50), 6), labels)

    pixels[:, 5:20] = 128
    path = write(tmp_path / "other.tif", pixels, photometric="RGB")
    with pytest.raises(DataError, match=r"other\.tif holds the colours #808080 \(38%\), .*neither"):
        read_mask(path, (40, 50), 6)
    with pytest.raises(DataError, match=r"38% of mask other\.tif is of no class \(Potsdam's colo"):
        read_mask(path, (40, 50), 6, coding="potsdam")


def test_potsdam_in_a_palette(tmp_path):
    labels = np.arange(6, dtype=np.uint8)[None]
    palette = {i: (*c.rgb, 255) for i, c in enumerate(reversed(POTSDAM_CLASSES))}
    path = write(tmp_path / "m.tif", 5 - labels, palette=palette)
    np.testing.assert_array_equal(read_mask(path, (1, 6), 6, coding="potsdam"), labels)


def test_one_band_is_no_potsdam_mask(tmp_path):
    path = write(tmp_path / "m.tif", IDS)
    with pytest.raises(DataError, match=r"m\.tif has 1 band, but its coding needs 3"):
        read_mask(path, IDS.shape, 6, coding="potsdam")


def test_another_size_than_the_image_is_refused_with_both(tmp_path):
    path = write(tmp_path / "m.tif", IDS)
    with pytest.raises(DataError, match=r"mask m\.tif is 2 x 3 pixels, its image 20 x 30"):
        read_mask(path, (20, 30), 5)


def test_what_is_no_image_is_refused(tmp_path):
    path = tmp_path / "m.tif"
    path.write_text("<VRTDataset rasterXSize='3' rasterYSize='2'></VRTDataset>")
    for bad in (path, tmp_path / "missing.png"):
        with pytest.raises(DataError, match=f"mask {bad.name} cannot be read"):
            read_mask(bad, (2, 3), 5)
    with pytest.raises(DataError, match="coding 'rgb' is unknown"):
        read_mask(path, (2, 3), 5, coding="rgb")


def test_a_mask_of_0_and_255_among_those_of_0_and_1_is_told(tmp_path):
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 2, (30, 40)).astype(np.uint8)
    paths = [write(tmp_path / "ids.tif", ids), write(tmp_path / "other.tif", ids * 255)]
    reader = masks.MaskReader(paths, classes_of(2))
    assert reader.coding == "ids"
    reader.read(paths[0], Grid((30, 40)))
    assert "binary255" not in reader.describe()
    labels = reader.read(paths[1], Grid((30, 40)))
    assert set(np.unique(labels)) == {0, IGNORE}
    assert "255 is read as not known; --mask-coding binary255 if it is a class (in 1)" in (
        reader.describe()
    )
