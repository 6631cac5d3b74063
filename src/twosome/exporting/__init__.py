"""Agents taken elsewhere: merged weights, an adapter with a card, a GGUF file; each checked against the agent."""
