"""Axis 4: whether preferred and dis-preferred data drive the objective, or the latter alone."""
