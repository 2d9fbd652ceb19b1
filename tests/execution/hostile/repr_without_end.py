class Slow:
    def __repr__(self):
        while True:
            pass
slow = Slow()
1 / 0
