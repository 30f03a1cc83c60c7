"""Which neurons hold a fact, and in which languages."""
