"""What is stored of evaluations: account status, gaps and decisions."""
