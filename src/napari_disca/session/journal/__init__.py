"""The journal: every step in one line of a file."""
