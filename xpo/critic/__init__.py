"""Networks that are trained beside the policy: values of prompts and tokens."""
