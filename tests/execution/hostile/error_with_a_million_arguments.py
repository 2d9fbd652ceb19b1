raise ValueError(*range(1_000_000))
