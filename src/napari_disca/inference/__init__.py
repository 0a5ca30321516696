"""What a network reads of an image, tile by tile, and the labels that come of it."""
