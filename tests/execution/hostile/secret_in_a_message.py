password = 'hunter2-canary'
raise ValueError('login failed: password=hunter2-canary')
