"""The base of every error that is a user's to mend: printed as one message, without a traceback."""


class UserError(ValueError):
    """Bad input: a config, a data file, a model folder. The message says what to change."""
