"""A simulated Kalshi exchange, for demos, tests and benchmarks."""
