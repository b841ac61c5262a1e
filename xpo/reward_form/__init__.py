"""Axis 2: a reward of one response, or a preference between two."""
