"""Stage 2: features -> split, audited -> head -> run folder.

`fit` is the stage; `split`, `people` and `audit` decide and check who is in which part; `head` builds the networks,
`learn` trains them on `batches`; `baseline` is what they have to beat; `runs` reads and writes run folders. Run as
`python -m train`.
"""
