"""Whether a policy that judges itself becomes better by what it is not told: the gold reward."""
