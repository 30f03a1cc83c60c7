"""CrossKey: a value found in one language, written under the keys of the fact in all of them."""
