class Huge:
    def __repr__(self):
        return 'x' * 10**8
huge = Huge()
1 / 0
