"""The peers, one short file each. To add one, copy a file: every file of this package is a peer.

A file has NAME, DISTRIBUTIONS (whose versions are recorded), IMPORTS (an import statement by the name of its row) and
any of the functions in `benchmarks.candidate.CAPABILITIES`, each of which guards a function, sync or async. LACKS has
the reason why one is missing. A function raises `Unsupported` if the peer does not guard sync, or async, functions.
"""
