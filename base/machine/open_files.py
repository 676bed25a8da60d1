"""How many files this process may hold open at once; a connection is one too."""


def allow_open_files(count: int) -> None:
    """Lets this process open `count` files, or as many as it may allow itself: macOS begins with 256."""
    import resource  # which Windows lacks

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = count if hard == unlimited else min(count, hard)
    if soft != unlimited and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
