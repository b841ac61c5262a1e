"""The losses: rewards and masses to loss_B, one formula per file, not reduced."""
