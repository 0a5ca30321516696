"""Opening of images and sessions."""
