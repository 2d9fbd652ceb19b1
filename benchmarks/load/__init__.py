"""Simulations of load in virtual time: what queues, rates and hedges do for callers and for the dependency.

A module for each table, on the real policies. Each has a `TABLE`, see `benchmarks.load.table`.
"""
