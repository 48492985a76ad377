"""What results of several seeds say of the difference between two arms."""
