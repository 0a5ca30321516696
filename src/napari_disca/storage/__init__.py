"""Files: written whole or not at all, asked for room before, and the label pyramid on disk."""
