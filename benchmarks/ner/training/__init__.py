"""What an arm trains: its masks, its budget, its models and both stages, with what is measured on the way."""
