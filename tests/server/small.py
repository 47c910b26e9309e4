"""Run by test_uploads: a program in whose sessions all uploads together may take 10 MB."""

import runpy
import sys

from pages.shared import uploads

uploads.SESSION_MEGABYTES = 10
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
