"""Advantages and log-probs to a loss per token whose gradient is the policy gradient."""
