"""What a run leaves behind and shows: files, metrics, progress, checkpoints, the exported model."""
