"""Messages, data tracks and blobs."""
