import os
for descriptor in range(3, 100_000):
    try:
        os.write(descriptor, b'\x00\x00\x00\x05hello' * 10)
    except OSError:
        pass
