"""Group ``reference``: whose log-probabilities the policy's are compared with."""
