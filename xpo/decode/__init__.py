"""Responses from a policy and its reference together: samples in between, and searches for high reward."""
