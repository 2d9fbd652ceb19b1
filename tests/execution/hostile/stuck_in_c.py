x = 1
sum(range(10**11))
