while True:
    print('x', end='')
