line = 'x' * 1023 + '\n'
for _ in range(20_000):
    print(line, end='')
print('the end')
