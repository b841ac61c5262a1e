"""Lightning modules: one abstract host of the policy, few final ones. No formulas here."""
