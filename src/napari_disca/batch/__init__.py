"""Maps without a window: streamed through one machine, or on a cluster."""
