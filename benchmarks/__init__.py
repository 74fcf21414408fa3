"""Measurements of the provider, beside AWS's own where its binary is given. `python -m benchmarks`; see README.md."""
