"""Labels that are chosen, against as many that are drawn."""
