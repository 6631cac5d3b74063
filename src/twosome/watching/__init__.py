"""Episodes to look at: played in words, replayed from a run, filmed."""
