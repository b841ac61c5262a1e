"""How good a reward model gets with how many comparisons, on files that the user has."""
