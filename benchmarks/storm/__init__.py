"""What the retries of a thousand clients do to a dependency in trouble: the libraries as they are, time simulated."""
