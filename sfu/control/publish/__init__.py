"""What a participant sends: its offers, its publications, and what anybody wants of them."""
