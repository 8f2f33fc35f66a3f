"""One room over several nodes: what nodes tell each other, and the media between them."""
