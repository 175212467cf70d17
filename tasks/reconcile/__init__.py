"""What brokers and custodians say of orders, and where it differs from our books."""
