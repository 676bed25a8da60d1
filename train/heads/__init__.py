"""The temporal networks: their architectures, and many of them trained side by side."""
