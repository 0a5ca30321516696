"""Training a network: folders of images and masks in, a card and weights out."""
