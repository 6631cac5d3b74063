"""Agents asked in process: a prompt and its phrases in, a probability for each out, the same bits every time."""
