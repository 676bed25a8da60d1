"""Stage 2: features -> audited split -> head -> run folder. Run as `python -m train`.

`data` loads features and splits them into parts; `heads` holds the networks and their training; `runs` is the run
folder. `fit` trains one head per seed, `sweep` hundreds of heads, `end_to_end` whole networks on crops.
"""
