"""Axis 3: the link acts on whole responses, or on tokens."""
