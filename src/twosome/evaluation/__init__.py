"""What agents and tasks are worth: sampled, exact, on other tasks, against SayCan, in language; and check-env."""
