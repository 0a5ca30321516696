"""Vector files: points and polygons, in map coordinates and in pixels."""
