"""What each LM call is asked, as DSPy signatures; a file for each mode."""
