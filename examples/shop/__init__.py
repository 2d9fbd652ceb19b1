"""A shop that survives its dependencies: prices from a service, stale ones in Redis, orders in a database."""
