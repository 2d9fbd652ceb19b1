open('/etc/passwd', 'a')
