"""Curves over a policy gradient's training, and over rounds of sampling, in the gold world."""
