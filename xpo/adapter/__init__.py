"""Group ``adapter``: which weights train."""
