"""Run by test_hosts: `streamlit run`, as if it did not find what app.py asks it to serve."""

import runpy
import sys

from streamlit.web.server import app_discovery

app_discovery.discover_asgi_app = lambda *_: app_discovery.AppDiscoveryResult(False, None, None)
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
