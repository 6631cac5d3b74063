"""Environments that run in other processes or on other hosts, asked over a documented protocol of JSON lines."""
