"""Templates, links and pictures that pages, PDFs and messages are made of."""
