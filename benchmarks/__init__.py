"""What `make bench` runs. Each benchmark is `python -m benchmarks.NAME`, with `--json` for machines."""
