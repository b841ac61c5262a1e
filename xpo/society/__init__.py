"""A society of policies: agents that remember, rate and criticise each other, and answer again."""
