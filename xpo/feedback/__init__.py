"""Axis 5, ``feedback``: which masses of a labelled record train (comparisons, labels, scores, targets)."""
