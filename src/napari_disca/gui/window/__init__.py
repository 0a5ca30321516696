"""The docked panel as a whole, and what connects its parts."""
