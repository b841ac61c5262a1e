"""Claims about the project as data: what is run, what must hold, and how a broken version is caught."""
