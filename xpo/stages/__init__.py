"""A run: stages derived from the axes, each skipped when its finished output is already there."""
