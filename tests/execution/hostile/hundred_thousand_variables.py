globals_ = {}
for n in range(100_000):
    globals_[f'v{n}'] = n
vars().update(globals_) if False else None
1 / 0
