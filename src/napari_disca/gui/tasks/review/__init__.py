"""Reviews of the map, and of what an adaptation changed."""
