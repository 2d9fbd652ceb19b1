import json
await json.loads('1')
