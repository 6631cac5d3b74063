"""How fast this machine is: scoring, many actions, worlds; measured, never judged."""
