"""Axis 11: who sampled the responses that the gradient is taken on."""
