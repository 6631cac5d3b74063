"""Symbols to words: the only place where prompts are written."""
