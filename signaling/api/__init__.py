"""Ting's own REST API."""
