"""What makes the bundled model and benchmark."""
