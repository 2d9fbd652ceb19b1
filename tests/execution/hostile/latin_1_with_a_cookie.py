# -*- coding: latin-1 -*-
print('é' == chr(0xe9))
