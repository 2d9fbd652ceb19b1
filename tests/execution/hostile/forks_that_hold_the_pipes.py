import os, time
for _ in range(5):
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
print('parent done')
