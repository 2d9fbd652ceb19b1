"""Retry storms: a thousand clients retry against a dependency in trouble. Real libraries, simulated time."""
