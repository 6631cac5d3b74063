"""Agents that learn from what they were asked and what came of it: a journal in, a run out."""
