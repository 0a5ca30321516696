"""The napari plugin; the only folder that imports Qt, napari or magicgui."""
