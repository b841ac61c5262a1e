"""Claims about real preference data: small models trained from scratch on files that the user has."""
