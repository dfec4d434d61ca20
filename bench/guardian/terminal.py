"""The terminal's foreground: prompts and Ctrl-C belong to the child while it lives, and to the guardian after it."""

from __future__ import annotations

import contextlib
import os
import signal


class Terminal:
    """The controlling terminal, if this process is in its foreground; else nothing is done."""

    def __init__(self) -> None:
        self._fd = -1
        with contextlib.suppress(OSError):
            fd = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
            if os.tcgetpgrp(fd) == os.getpgrp():
                self._fd = fd
                signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # a background process speaks and takes the terminal back
            else:
                os.close(fd)

    def give(self, group: int) -> None:
        """Make a process group the foreground one."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):  # it has ended already, or the terminal is gone
                os.tcsetpgrp(self._fd, group)

    def take_back(self) -> None:
        self.give(os.getpgrp())

    def close(self) -> None:
        """Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
