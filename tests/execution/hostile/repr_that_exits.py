class Out:
    def __repr__(self):
        raise SystemExit(0)
out = Out()
1 / 0
