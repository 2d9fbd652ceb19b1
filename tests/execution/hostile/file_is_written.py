open('/etc/passwd', 'w')
