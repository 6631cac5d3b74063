"""Aligns a language model with an environment by practice: PPO over the joint probability of admissible phrases."""
