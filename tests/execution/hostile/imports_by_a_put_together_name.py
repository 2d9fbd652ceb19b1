name = 'o' + 's'
module = __import__(name)
