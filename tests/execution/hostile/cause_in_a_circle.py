one, two = ValueError('one'), KeyError('two')
one.__cause__, two.__cause__ = two, one
raise one
