"""Guards of the page: what strangers may send, from where, how much, how slowly and how often.

Each is an ASGI middleware, or what such a one calls.
"""
