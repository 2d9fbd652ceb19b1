import os, time
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(60)
    time.sleep(60)
    os._exit(0)
'parent done'
