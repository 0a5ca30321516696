"""Connected regions of label maps: what has changed, what is doubtful."""
