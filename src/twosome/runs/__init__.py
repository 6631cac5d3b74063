"""The only layer that writes files, and the only one that knows all others."""
