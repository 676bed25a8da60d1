"""From a file to its frames, as a player shows them: open it, tell the time, decode, show."""
