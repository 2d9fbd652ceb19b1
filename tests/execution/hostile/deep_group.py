error = ValueError('inmost')
for _ in range(500):
    error = ExceptionGroup('layer', [error])
raise error
