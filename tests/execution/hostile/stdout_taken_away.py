import sys
sys.stdout = None
print('lost')
1 / 0
