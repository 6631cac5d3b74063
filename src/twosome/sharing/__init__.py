"""Work shared through a directory alone: which of several processes, on one host or many, does what."""
