"""Rooms, participants, publications and subscriptions: policy, a few times a second."""
