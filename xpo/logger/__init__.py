"""Where metrics go beside ``metrics.jsonl``, one option per file; see ``xpo.run.log`` for their use."""
