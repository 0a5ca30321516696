"""Tables of classes as files: what is written is read again, what others write is understood."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio

from builders import make_card, make_network
from napari_disca.core.errors import ClassTableError, ExportError
from napari_disca.core.events import finish
from napari_disca.exports import export_for, exports_of, merged, read_map_classes, write_map
from napari_disca.exports.class_files import CLASS_SUFFIXES_OUT, read_classes, write_classes
from napari_disca.networks import save_network
from napari_disca.raster import open_raster, quiet_opening
from napari_disca.session.steps.class_table import ClassTable


@pytest.fixture
def table():
    return ClassTable.of(make_card().classes)


@pytest.fixture
def changed(table):
    return (
        table.renamed(0, 'houses, "old"')
        .recoloured({2: "#010203"})
        .moved(2, 0)
        .with_hidden(1, True)
    )


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_csv_and_json_hold_all_of_it(suffix, table, changed, tmp_path):
    changed = changed.merged([0, 1], "built")
    path = write_classes(changed, tmp_path / f"classes{suffix}")
    assert read_classes(path, table).table == changed
    assert read_classes(path, table).describe(path.name) == ""


def test_a_style_of_qgis_holds_names_colours_order_and_what_is_hidden(table, changed, tmp_path):
    path = write_classes(changed, tmp_path / "map.qml")
    assert read_classes(path, table).table == changed


def test_a_colour_map_holds_colours_and_names_stay(table, changed, tmp_path):
    path = write_classes(changed, tmp_path / "map.clr")
    colours = {entry.id: entry.color for entry in changed.entries}
    recoloured = table.recoloured(colours)
    ordered = ClassTable(tuple(recoloured.entry(label) for label in changed.order))
    assert read_classes(path, table).table == ordered
    assert path.read_text().splitlines()[0] == "2 1 2 3"


@pytest.mark.parametrize("suffix", [".qml", ".clr"])
def test_a_style_is_of_the_map_that_is_saved(suffix, table, tmp_path):
    together = table.merged([0, 2], "land")
    path = write_classes(together, tmp_path / f"map{suffix}")
    if suffix == ".qml":
        palette = ElementTree.parse(path).getroot().iter("paletteEntry")
        labels = [(item.get("value"), item.get("label")) for item in palette]
        assert labels == [("0", "land"), ("1", table.entry(1).name)]
    found = read_classes(path, together)
    assert sorted(found.table.entries, key=lambda e: e.id) == list(together.entries)
    assert found.unchanged == ()


def test_the_formats_are_in_the_table(table, tmp_path):
    suffixes = {suffix for export in exports_of("classes") for suffix in export.suffixes}
    assert suffixes == set(CLASS_SUFFIXES_OUT)
    path = tmp_path / "x.csv"
    finish(export_for(path, "classes").write(table, path, raster=None, classes=()))
    assert path.read_text().startswith("id,name,color,key,group,hidden\n0,")
    with pytest.raises(ExportError, match="end its name with"):
        write_classes(table, tmp_path / "x.txt")


FOREIGN = {
    # QGIS 3 writes opacity and name; so do its exported colour maps, with commas.
    "a.clr": "# QGIS Generated Color Map Export File\n1,10,20,30,255,the wood\n0,1,2,3,255,town",
    "b.clr": "\ufeff1 10 20 30\r\n0 1 2 3\r\n",
    "c.csv": "\ufeffID;Name;Colour\n1;the wood;0A141E\n0;town;#010203\n\n",
    "d.csv": "name,color,group\nVEGETATION,#0a141e,green\n",
    "e.json": '[{"name": "town", "color": "#010203"}, {"name": "the wood", "color": "#0A141E"}]',
    "f.qml": (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n<qgis><pipe>"
        '<rasterrenderer type="singlebandpseudocolor"><rastershader><colorrampshader>'
        '<item value="1" color="#0a141e" alpha="255" label="the wood"/>'
        "</colorrampshader></rastershader></rasterrenderer></pipe></qgis>"
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_others_write_is_understood(name, table, tmp_path):
    table = table.renamed(1, "vegetation")
    path = tmp_path / name
    path.write_bytes(FOREIGN[name].encode())
    found = read_classes(path, table).table
    assert found.entry(1).color == "#0a141e"
    if name not in ("b.clr", "d.csv"):
        assert found.entry(1).name == "the wood"
    if name == "d.csv":
        assert found.entry(1).group == "green"


def test_the_card_of_a_network_is_a_table(table, changed, tmp_path):
    save_network(make_network(make_card()), tmp_path / "net.safetensors")
    assert read_classes(tmp_path / "net.safetensors", changed).table == table


def test_what_does_not_fit_is_told(table, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("id,name\n1,wood\n9,ice\n")
    found = read_classes(path, table)
    assert found.table.entry(1).name == "wood"
    said = found.describe("x.csv")
    assert said.startswith("x.csv is loaded; it also has 9, which the network does not have")
    assert table.entry(0).name in said


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "", "neither 'id' nor 'name'"),
        ("a.csv", "id,name\n0,a\n0,b\n", "class 0 twice"),
        ("a.csv", "id,name\nx,a\n", "line 2: 'x' is not a whole number"),
        ("a.csv", "id,name\n7,a\n", "none of the network's classes"),
        ("a.csv", "id,name,color\n0,a,red\n", "not like '#d73027'"),
        ("a.csv", "id,name,hidden\n0,a,perhaps\n", "write yes or no"),
        ("a.csv", 'id,name\n0,"a\n', "not a CSV table"),
        ("a.csv", "id,name\n0,same\n1,Same\n", "two classes are called"),
        ("a.clr", "0 1 2\n", "value red green blue"),
        ("a.clr", "0 1 2 300\n", "0 to 255"),
        ("a.qml", "<qgis/>", "not the style of a raster"),
        ("a.qml", "<qgis>", "not a QGIS style"),
        ("a.qml", '<!DOCTYPE q [<!ENTITY a "b">]><qgis/>', "entities"),
        ("a.json", '{"classes": 3}', "no list of classes"),
        ("a.json", '{"classes": [{"name": 3}]}', "name, color and group are texts"),
        ("a.json", "{", "not JSON"),
        ("a.txt", "", "is not a table of classes"),
        ("a.safetensors", "nothing", "a.safetensors"),
    ],
)
def test_bad_files_are_refused_in_one_line(name, text, says, table, tmp_path):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ClassTableError, match=says) as error:
        read_classes(path, table)
    assert "\n" not in str(error.value)
    assert name in str(error.value)


def test_a_file_that_is_not_there_or_no_text_is_told(table, tmp_path):
    with pytest.raises(ClassTableError, match="cannot be read"):
        read_classes(tmp_path / "none.csv", table)
    (tmp_path / "x.csv").write_bytes(b"id,name\n0,\xff\n")
    with pytest.raises(ClassTableError, match="UTF-8"):
        read_classes(tmp_path / "x.csv", table)


def test_merged_classes_are_one_in_the_saved_map_and_in_its_legend(table, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 3, (30, 40)).astype(np.uint8)
    raster = open_raster(np.zeros((30, 40, 3), np.uint8))
    together = table.merged([1, 2], "ground")

    class Map:
        shape = pixels.shape

        def read(self, window):
            return pixels[window.slices]

    path = tmp_path / "map.tif"
    finish(
        write_map(
            merged(Map(), together.values), path, raster=raster, classes=together.saved_classes
        )
    )
    with quiet_opening(), rasterio.open(path) as file:
        assert np.array_equal(file.read(1), np.minimum(pixels, 1))
        assert file.colormap(1)[1][:3] == table.classes[1].rgb
    side_car = ElementTree.parse(f"{path}.aux.xml").getroot()
    rows = [[f.text for f in row.iter("F")][:2] for row in side_car.iter("Row")]
    assert rows == [["0", table.entry(0).name], ["1", "ground"]]
    assert read_map_classes(path) == together.saved_classes
