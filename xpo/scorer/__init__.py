"""A trained policy as a scorer of responses and of their tokens."""
