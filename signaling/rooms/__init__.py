"""Rooms: who may come in and with which rights; calls in them."""
