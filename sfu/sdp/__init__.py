"""Session descriptions as pure functions: text to model, model to answer, model to text."""
