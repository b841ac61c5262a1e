"""From files to micro-batches: reading, tokenising, collating and the optimizer-step plan."""
