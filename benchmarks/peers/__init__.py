"""The peers, one short file each. To add one, copy a file: it is found by being here.

A file has NAME, DISTRIBUTIONS (whose versions are recorded), IMPORTS (row name -> statement) and any of the functions
`retry`, `breaker`, `fallback`, `fallback_breaker`, `stack` and `limit`, each of which guards the function it is given,
sync or async. LACKS says why one of them is missing; raise `Unsupported` for one of the two worlds.
"""
