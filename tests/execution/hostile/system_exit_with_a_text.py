raise SystemExit('no more')
