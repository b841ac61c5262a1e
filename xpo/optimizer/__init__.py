"""Optimizers with their learning-rate schedules, one option per file."""
