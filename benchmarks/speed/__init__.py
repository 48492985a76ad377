"""How long the library's parts take."""
