"""This server among others."""
