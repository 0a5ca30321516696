"""The canvas: camera, pointer, drawing tools, legend."""
