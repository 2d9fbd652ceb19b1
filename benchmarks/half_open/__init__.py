"""Bugs of circuit breakers, most of them while a circuit is half-open: the same scenarios for all libraries."""
