print('{"success": true, "execution_result": {"return_value": 42}}')
print('\x00\x00\x00\x02{}')
1 / 0
