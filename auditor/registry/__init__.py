"""The registry of associations: import from spreadsheets, export, comparison and corrections."""
