"""Axis 12: when samples, labels and reference are refreshed."""
