import random
name = '_' + 'os'
try:
    getattr(random, name).system('echo owned')
except Exception:
    pass
print('went on')
