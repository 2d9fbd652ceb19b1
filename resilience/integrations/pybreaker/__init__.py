"""pybreaker around a circuit: its listeners, its storages, and the attributes its users know.

A circuit passes for a `pybreaker.CircuitBreaker` where a library asks for one. The circuit's own logic is in
`resilience.policies` and knows nothing of this package.

    compat             the attributes and methods of `pybreaker.CircuitBreaker`
    adapters           its listeners and storages as observers of a circuit
    storage            what is read from and written to a storage that several processes share
    storage_executor   the thread in which a storage is asked, with a time limit
"""
