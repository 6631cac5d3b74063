"""The wire formats of decision servers, read and written strictly: System One, OpenAI Decisions, and what both ask."""
