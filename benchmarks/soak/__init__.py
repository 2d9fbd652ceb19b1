"""A soak test: everything that a long-lived process does with the toolkit, for minutes, and what that leaves behind."""
