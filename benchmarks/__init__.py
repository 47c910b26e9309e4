"""Speed and memory on the machine at hand, as ratios measured side by side: `make bench`."""
