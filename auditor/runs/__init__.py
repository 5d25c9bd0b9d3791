"""An audit run: its plan, its queues, its deadline and what is done after it."""
