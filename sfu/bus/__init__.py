"""What nodes tell each other through a server in between: who is there, and hints.

`api` is the contract; `memory` and `nats` fulfil it. `membership` stands on it. Nothing here is imported by a server
that is alone.
"""
