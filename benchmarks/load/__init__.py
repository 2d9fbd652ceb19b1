"""Simulations of load in virtual time: what queues, rates and hedges do for callers and for the dependency."""
