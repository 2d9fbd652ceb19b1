print('\x1b[2J\x1b]0;owned\x07')
raise ValueError('\x1b[31mred\x1b[0m')
