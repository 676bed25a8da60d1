"""Whether this system is one that Reelcheck runs on, and how many files a process may hold open in it."""

import importlib.util

NEEDED = ("fcntl", "resource")
"""What Windows lacks of Python: locks of files, and limits of processes."""


def lack_of_system() -> str:
    """Returns why Reelcheck cannot run on this system, "" if it can."""
    if all(map(importlib.util.find_spec, NEEDED)):
        return ""
    return "Reelcheck needs Linux or macOS; on Windows, install and run it within WSL (wsl --install)."


def allow_open_files(count: int) -> None:
    """Lets this process open `count` files, or as many as it may allow itself: macOS begins with 256.

    A connection is one too.
    """
    import resource  # which Windows lacks

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = count if hard == unlimited else min(count, hard)
    if soft != unlimited and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
