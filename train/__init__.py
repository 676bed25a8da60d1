"""Stage 2: features -> split, audited -> head -> run folder. Run as `python -m train`.

`data` loads features and says who trains and who tests; `heads` holds the networks and their training; `runs` is the
run folder. `fit` trains a head a seed, `sweep` hundreds, `end_to_end` whole networks on crops.
"""
