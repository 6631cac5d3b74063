"""What a training will take, in memory and time, and how to lay it out; said before any weights are loaded."""
