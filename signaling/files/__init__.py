"""Files of a room: received in pieces that a cut connection does not lose, kept under random names, never opened."""
