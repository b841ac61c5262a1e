"""Axis 10: how far the policy may go from its reference, one f-divergence per file."""
