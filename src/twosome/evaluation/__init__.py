"""What agents and tasks are worth: sampled, exact, on other tasks, against SayCan; words; and check-env."""
