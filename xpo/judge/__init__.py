"""Language models that are asked about responses: a local one, or one behind an HTTP endpoint."""
