"""Signals: the first one ends a command in order, the second one at once, and neither waits for a library."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMAND = """
import ctypes, signal, sys, time
from pathlib import Path
from toolkit import interrupt

def tell(ended): print(f"left: {ended}", flush=True)

interrupt.listen(tell)
signal.signal(signal.SIGUSR1, lambda *_: print("usr1", flush=True))
try:
    print("begun", flush=True)
    if sys.argv[1] == "python":
        time.sleep(60)
    elif sys.argv[1] == "library":  # PyDLL would hold the interpreter's lock; CDLL does not
        ctypes.CDLL(None).sleep.errcheck = None
        while True:
            end = time.monotonic() + 60
            left = ctypes.CDLL(None)
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
            left.sleep(60)
    else:  # an orderly end that takes long
        try:
            time.sleep(60)
        finally:
            print("tidying", flush=True)
            time.sleep(60)
except interrupt.Interrupted as ended:
    print(f"in order: {ended}", flush=True)
    interrupt.leave(ended.code)
"""
