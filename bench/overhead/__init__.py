"""What serving costs: `python -m overhead` in bench/."""
