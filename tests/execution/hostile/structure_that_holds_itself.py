x = []
x.append(x)
d = {'x': x}
d['d'] = d
1 / 0
