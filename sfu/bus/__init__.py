"""What nodes tell each other through a server in between: who is there, and who leads what.

`api` is the contract; `memory` and `nats` fulfil it. `membership` and `leases` stand on it. Nothing here is imported
by a server that is alone.
"""
