"""The commands of `ting`, each loaded when it is called: `add_options` adds its options, `run` does it."""
