"""What else holds the policy near its reference, beside the objective."""
