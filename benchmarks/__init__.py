"""Speed and memory on the machine at hand, as ratios measured side by side: `make bench`."""

import os

# As the app and the command line do, before torch is imported: threads that wait for each other sleep.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
