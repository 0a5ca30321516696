"""What the user marks: clicks, guidance drawn from them, areas, strokes; a simulated annotator."""
