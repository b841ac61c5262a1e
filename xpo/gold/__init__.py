"""A small enumerable language in which the right answer is known exactly: the ruler of the project."""
