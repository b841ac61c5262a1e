"""Merging the weight deltas of two trainings that began from the same weights."""
