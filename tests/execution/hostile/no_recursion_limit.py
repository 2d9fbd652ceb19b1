import sys
sys.setrecursionlimit(10**8)
f = lambda n: f(n + 1)
f(0)
