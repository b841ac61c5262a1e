"""People who label: the file that a run leaves for them, and ``xpo label``, which fills it on a terminal."""
