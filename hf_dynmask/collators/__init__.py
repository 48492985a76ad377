"""What users construct: examples in, batch out."""
