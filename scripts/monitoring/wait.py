"""Waiting for what must come to be so, with a deadline."""

import socket
import time


class TooLate(Exception):
    pass


def until(what, is_so, deadline=30):
    """Waits for `is_so()` to be true, for so many seconds at most."""
    end = time.monotonic() + deadline
    while not is_so():
        if time.monotonic() > end:
            raise TooLate(f"not after {deadline} s: {what}")
        time.sleep(0.1)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
