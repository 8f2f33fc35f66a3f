"""How long rooms keep what was said in them, and how it goes."""
