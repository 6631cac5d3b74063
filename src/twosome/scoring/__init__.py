"""Packs to log-probabilities: the ways to read decisions with a causal language model."""
