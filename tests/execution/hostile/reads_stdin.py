name = input('who? ')
