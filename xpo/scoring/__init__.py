"""Tokens to log-probabilities: the only place, for every method."""
