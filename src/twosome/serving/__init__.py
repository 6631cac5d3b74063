"""Agents asked over HTTP: one core, two wire formats (System One, OpenAI Decisions)."""
