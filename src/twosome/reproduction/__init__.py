"""Everything the paper claims, as a list of jobs that can be stopped at any time and done where they are missing."""
