print('Traceback (most recent call last):\n  File "<string>", line 99, in <module>\nKeyError: 1')
missing
