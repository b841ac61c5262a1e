"""The best of n by a reward model, judged by others."""
