for n in range(2):
    print(n)
missing
