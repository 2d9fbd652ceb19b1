import subprocess
subprocess.Popen(['sleep', '60'])
'started'
