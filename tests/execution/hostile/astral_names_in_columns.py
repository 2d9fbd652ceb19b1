x = '😀'; missing
