"""Stage 2: features -> split, audited -> head -> run folder.

`material` loads and splits (`split`, `people`) and audits (`audit`); `fit` trains a head a seed, `sweep` many, by the
`study` that Optuna keeps. Both go through `learn`, which trains heads (`head`) side by side in a `stack`, on `inputs`.
`record` and `runs` write and read run folders, `ensemble` joins them; `baseline` is what they all have to beat.
`finetune` and `cnn3d` train whole networks on crops, in one `loop`. Run as `python -m train`.
"""
