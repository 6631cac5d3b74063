"""Worlds that nobody here made: each an optional extra, behind the same contract as any environment.

An adapter is a Gymnasium environment, a narrator and an id, as docs/add-an-environment.md asks for. Nothing here is
imported before a task of its family is made.
"""
