try:
    1 / 0
except ZeroDivisionError as error:
    builtins = error.__traceback__.tb_frame.f_builtins
    builtins['open']('/etc/passwd')
