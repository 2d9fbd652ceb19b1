import signal
for number in range(1, 32):
    try:
        signal.signal(number, signal.SIG_IGN)
    except OSError:
        pass
signal.setitimer(signal.ITIMER_REAL, 0)
while True:
    pass
