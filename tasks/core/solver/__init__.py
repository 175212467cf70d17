"""The exact rebalance over flat arrays. Imports NumPy and Numba, and nothing of ours but itself."""
