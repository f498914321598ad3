"""How alike two texts are: by their words, or by their meaning. Knows nothing of rows, nor of who is told."""
