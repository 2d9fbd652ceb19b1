kept = []
while True:
    try:
        kept.append('x' * 1_000_000)
    except MemoryError:
        pass
