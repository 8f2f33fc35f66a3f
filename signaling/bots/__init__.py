"""Programs in rooms: bots with scopes, incoming webhooks, and hooks that tell others of new entries."""
