"""What a loss is averaged over: a numerator here, a denominator of the whole optimizer step."""
