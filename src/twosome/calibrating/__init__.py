"""A temperature fitted to an agent: found on all states of a task, and kept beside the weights."""
