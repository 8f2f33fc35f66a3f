"""Ting's signaling server: tokens, the LiveKit protocol, the REST API and the web app, on aiohttp."""
