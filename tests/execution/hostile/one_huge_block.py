x = 1
block = bytearray(10**12)
