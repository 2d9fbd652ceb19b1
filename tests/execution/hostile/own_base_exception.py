class Out(BaseException):
    pass
raise Out('gone')
