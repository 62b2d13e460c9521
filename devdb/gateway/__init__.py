"""The gateway: an instance over HTTP and WebSocket, for serverless and edge drivers.

It is a client of the instance like any other: it knows two ports of 127.0.0.1, and who comes brings
the credentials. It holds no secret, and dials nothing else.
"""
