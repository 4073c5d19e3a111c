"""What a person works on: labels, prompts, results and the way back, without any window."""
