"""Which responses are labelled: all, or in each round those that a labelling budget is best spent on."""
