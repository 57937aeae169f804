"""Become the supervisor of a home folder, as a process that belongs to nobody."""

import os
import sys
from pathlib import Path

from .supervisor import supervise

if sys.argv[1:2] != ["--supervise"] or len(sys.argv) != 3:
    sys.exit("usage: python -m kalshi_gateway.embedded --supervise HOME")
# The child belongs to no shell and no process that would have to reap it.
if os.fork() == 0:
    supervise(Path(sys.argv[2]))
