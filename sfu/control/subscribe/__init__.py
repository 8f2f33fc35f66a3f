"""What a participant receives: which publications, in which layer, on which media sections."""
