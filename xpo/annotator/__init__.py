"""Axis 7, ``annotator``: who says which response is better."""
