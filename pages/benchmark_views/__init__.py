"""Parts of the Benchmark page: where a result comes from, how a new one is run, and how one is shown."""
