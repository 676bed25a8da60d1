"""Stage 2: features -> split, audited -> head -> run folder.

`fit` is the stage; `split`, `people` and `audit` decide and check who is in which part; `head` builds the networks,
`learn` trains them on `batches`; `baseline` is what they have to beat; `runs` reads and writes run folders.

`finetune` and `cnn3d` train whole networks on kept `crops` instead: `end_to_end` is what they share, `loop` their
training, `checkpoint` what it goes on from when it was interrupted, `augment` what it does to the crops. Run as
`python -m train`.
"""
