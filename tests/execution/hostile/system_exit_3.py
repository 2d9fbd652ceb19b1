print('leaving')
raise SystemExit(3)
