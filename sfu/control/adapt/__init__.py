"""How much each downlink takes and how good each connection is. Knows transports and subscriptions, no participant."""
