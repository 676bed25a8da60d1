"""What Reelcheck's speed is measured with: `make bench` writes results.json, which the README quotes."""
