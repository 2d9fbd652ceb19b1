class Rude:
    def __repr__(self):
        raise KeyError('no')
rude = Rude()
1 / 0
