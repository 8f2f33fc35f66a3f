"""Accounts, for those who want one: who may sign in, on which devices, and what they have proved. No HTTP, no SQL."""
