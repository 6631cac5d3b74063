"""Whether an environment keeps the contract and the principles of prompts: walked through, no model needed."""
