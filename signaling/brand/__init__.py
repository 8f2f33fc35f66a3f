"""White label: the name, pictures, colours, texts and links under which people know this server."""
