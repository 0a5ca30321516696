"""The maps of a session: their tiles, weights, and the refresh that computes them."""
