"""What the head of a reward model learns before the run's own data."""
