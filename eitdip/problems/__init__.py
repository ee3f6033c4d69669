"""What is known before anything is sought: model, data, unknown."""
