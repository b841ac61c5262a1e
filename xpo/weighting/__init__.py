"""What each example counts, and how a step's losses become one."""
