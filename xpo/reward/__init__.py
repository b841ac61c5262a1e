"""Axis 1: what the objective eats, the policy's own implicit reward or an explicit one's labels."""
