"""Gymnasium worlds: symbols in, symbols out; no English, no torch."""
