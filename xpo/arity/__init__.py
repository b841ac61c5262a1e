"""Axis 6, ``arity``: how many responses of a prompt stand in one training row."""
