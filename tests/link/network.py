"""Every cause of a lost link is told apart, in text and hint, and obeyed."""
