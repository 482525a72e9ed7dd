"""Starts a program as a terminal or a container would: with SIGHUP as it is by default, as the
leader of the terminal that its stdin is, where that is one."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import termios

if __name__ == "__main__":
    how, *command = sys.argv[1:]
    signal.signal(signal.SIGHUP, signal.SIG_IGN if how == "nohup" else signal.SIG_DFL)
    if how == "terminal":
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.execv(command[0], command)
