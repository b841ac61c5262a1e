"""Rewards on tokens to advantages: how much better each token did than was to be expected."""
