"""Algorithms side by side: which learns a task in how many decisions, and in how many seconds of processor time."""
