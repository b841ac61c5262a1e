"""``constraint``: whether a policy's expected cost has a limit, and how two advantages are mixed."""
