"""Training and its files: how a run is begun, kept, stopped and taken up again, and the agents that come of it."""
