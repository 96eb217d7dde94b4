"""Asks the bot in this container whether it is alive; exit status 0 if it is."""

import http.client
import os
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["WATCH_PORT"]), timeout=4)
connection.request("GET", "/healthz")
answer = connection.getresponse()
print(answer.status, answer.read(200).decode())
sys.exit(answer.status != 200)
