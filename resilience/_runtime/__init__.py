"""Carries out what policies decide: two drivers, composition, and what can be wrapped and how."""
