Exception = BaseException = None
print = len = repr = str = None
list = dict = type = None
1 / 0
