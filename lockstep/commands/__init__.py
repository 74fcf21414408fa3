"""One module per verb of the command line: arguments in, text out. What a verb computes lives elsewhere."""
