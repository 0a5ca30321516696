"""Choice of image, network, bands and values."""
