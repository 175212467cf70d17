"""What every stage runs on: stores, steps, retries, logs, sessions, private folders."""
