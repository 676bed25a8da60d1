"""Heads trained on resident features, many at a time: a few seeds for `fit`, hundreds of trials for a sweep."""

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import keras
import numpy as np

from base.commands import flag
from base.errors import UserError
from train.data.batches import FeatureBatches
from train.data.clips import Clips
from train.data.inputs import Inputs, unproject
from train.heads.architectures import HeadConfig, build_head
from train.heads.jobs import Fold, HeadJob, HeadProgress, LearnConfig
from train.heads.ranking import roc_auc
from train.heads.stack import Stack, offsets_of

PREDICTION_BATCH = 256


def learn_many(
    jobs: Iterable[HeadJob], inputs: Inputs, train: np.ndarray, val: np.ndarray, slots: int
) -> Iterator[tuple[HeadJob, HeadProgress]]:
    """Trains `jobs` as `learn_folds` does, all of them on the clips `train`."""
    return learn_folds(jobs, [Fold(inputs, train, val)], slots)


def learn_folds(jobs: Iterable[HeadJob], folds: Sequence[Fold], slots: int) -> Iterator[tuple[HeadJob, HeadProgress]]:
    """Trains `jobs`, all of one shape, at most `slots` at once, and yields each with its progress as it ends.

    Progress holds the weights of the epoch with the lowest loss on `val` of the job's fold; without `val` every job
    runs its `fixed_epochs` and keeps the last weights. Both losses carry the class weights of `train`. A head does not
    depend on the heads beside it, and on a CPU the same job gives the same head. In every fold an epoch has as many
    steps as the largest needs; a smaller one goes through its clips again.

    For a head that starts from the baseline, clips of `train` have the baseline's logits out of fold, and the baseline
    itself is epoch 0: on `val` the head is never worse.

    A job is drawn from `jobs` when a slot is free, so a generator may choose it by the results of earlier ones.
    """
    jobs = iter(jobs)
    first = next(jobs, None)
    if first is None:
        return
    jobs = itertools.chain([first], jobs)
    most = max(len(fold.train) for fold in folds)
    stack = Stack(first.head, [fold.inputs for fold in folds], slots, most // -(-most // first.learn.batch))
    course = _Course(stack, folds, most // stack.batch)
    while True:
        while course.free and (job := next(jobs, None)) is not None:
            course.begin(job)
        if not course.running:
            return
        yield from course.epoch()


def predict(head: keras.Model, clips: Clips, rows: np.ndarray) -> np.ndarray:
    """Returns the probability of fake, float32 (R,), of each of the clips `rows`."""
    return head.predict(FeatureBatches(clips, rows, PREDICTION_BATCH), verbose=0)[:, 0]  # pyright: ignore[reportArgumentType]


def usable_components(head: HeadConfig, components: int) -> int:
    """Returns `components`, or 0 for a head whose first layer has no kernel to fold a projection into."""
    return 0 if head.head == "mean" else components


def finished_head(shape: HeadConfig, progress: HeadProgress, inputs: Inputs) -> keras.Model:
    """Returns the head of `progress` as a plain Keras model that takes features (B, 12, D) as stored."""
    head = build_head(shape, inputs.clips.features.shape[2])
    head.get_layer("normalise").set_weights([inputs.mean, inputs.variance])
    if shape.start == "baseline":
        assert inputs.baseline is not None
        head.get_layer("baseline").set_weights(inputs.baseline.layer(inputs.mean, inputs.variance))
    for weight in head.weights:
        if weight.path in progress.weights:
            weight.assign(unproject(progress.weights[weight.path], tuple(weight.shape), inputs.basis))
    return head


def require_numbers(progress: HeadProgress, config: LearnConfig) -> None:
    """Raises a UserError if the loss stopped being finite."""
    if progress.broken:
        raise UserError(f"{progress.broken}; use a {flag('learning_rate')} below {config.learning_rate:g}.")


class _Runner:
    """A job in its slot of the stack."""

    def __init__(self, job: HeadJob, fold: Fold) -> None:
        self.job, self.fold, config = job, fold, job.learn
        self.labels = fold.inputs.clips.labels
        self.weights = fold.inputs.clips.weights(fold.train, by_class=config.class_weights)
        self.epochs = config.epochs if len(fold.val) else config.fixed_epochs
        first = 1 if job.head.start == "nothing" else 0
        self.progress, self._start = HeadProgress(first), time.perf_counter()

    def batches(self, steps: int, size: int) -> np.ndarray:
        """Returns int32 (steps, size): the clips of this epoch, in an order that depends on seed and epoch only.

        All batches have one size, so one compiled step serves them. An epoch leaves out fewer clips than it has steps.
        """
        random, train = np.random.default_rng([self.job.learn.seed, self.progress.epochs]), self.fold.train
        passes = -(-steps * size // len(train))
        order = np.concatenate([random.permutation(train) for _ in range(passes)])
        return order[: steps * size].reshape(steps, size).astype(np.int32)

    def keeps(self, steps: int, shape: tuple[int, int]) -> Iterator[np.ndarray]:
        """Yields the dropout factors of the clips' vectors for each step, float32 of `shape`."""
        random, rate = np.random.default_rng([self.job.learn.seed, self.progress.epochs, 1]), self.job.head.dropout
        for _ in range(steps):
            yield (random.random(shape, np.float32) >= rate) / np.float32(1 - rate)

    def validation(self, logits: np.ndarray) -> tuple[float, float]:
        """Returns the weighted loss and the ROC AUC of the `logits` float64 (R,) of the validation clips."""
        rows = self.fold.val
        return self.loss(logits, rows), float(roc_auc(logits[None], self.labels[rows])[0])

    def loss(self, logits: np.ndarray, rows: np.ndarray) -> float:
        """Returns the mean loss of the `logits` float64 (R,) of the clips `rows`, with the weights of train."""
        with np.errstate(invalid="ignore"):  # a head may have diverged
            return float((self.weights[rows] * (np.logaddexp(0, logits) - self.labels[rows] * logits)).mean())

    def note(self, loss: float, validation: tuple[float, float] | None) -> None:
        """Adds an epoch to the history; `validation` holds its loss and AUC."""
        history = self.progress.history
        self.progress.seconds = time.perf_counter() - self._start
        history["loss"].append(loss)
        if validation is not None:
            for name, value in zip(("val_loss", "val_auc"), validation, strict=True):
                history.setdefault(name, []).append(value)
        for name in ("loss", "val_loss"):
            if name in history and not np.isfinite(history[name][-1]):
                self.progress.broken = f"{name} was {history[name][-1]} in epoch {self.progress.epochs}"

    @property
    def improved(self) -> bool:
        """Whether the latest epoch is the best so far; without validation it always is."""
        losses = self.progress.history.get("val_loss")
        return not self.progress.broken and (losses is None or losses[-1] < min(losses[:-1], default=np.inf))

    @property
    def ended(self) -> bool:
        """Whether the job is out of epochs or patience, or its loss is not finite."""
        waited = self.progress.epochs - (self.progress.best or 0)
        return bool(self.progress.broken) or self.progress.epochs >= self.epochs or waited >= self.job.learn.patience


class _Course:
    """Runs jobs in a stack, epoch by epoch of so many `steps`."""

    def __init__(self, stack: Stack, folds: Sequence[Fold], steps: int) -> None:
        self._stack, self._folds, self._steps = stack, folds, steps
        self._slots: list[_Runner | None] = [None] * stack.slots

    @property
    def free(self) -> bool:
        """Whether a slot is free."""
        return None in self._slots

    @property
    def running(self) -> list[tuple[int, _Runner]]:
        """The slots in use, each with its runner."""
        return [(slot, runner) for slot, runner in enumerate(self._slots) if runner is not None]

    def begin(self, job: HeadJob) -> None:
        """Starts `job` in a free slot."""
        slot, config = self._slots.index(None), job.learn
        self._slots[slot] = runner = _Runner(job, self._folds[job.fold])
        self._stack.put(slot, config.learning_rate, config.weight_decay, config.seed, job.fold)
        if job.head.start != "nothing":
            self._note_baseline(slot, runner, offsets_of(job.head, runner.fold.inputs))

    def epoch(self) -> Iterator[tuple[HeadJob, HeadProgress]]:
        """Trains each running head for one epoch; yields those that ended and frees their slots."""
        self._train_once()
        losses, logits = self._stack.take_losses(), self._logits({slot: one.fold.val for slot, one in self.running})
        for slot, runner in self.running:
            runner.note(float(losses[slot]), runner.validation(logits[slot]) if slot in logits else None)
        self._keep([(slot, runner) for slot, runner in self.running if runner.improved])
        for _, runner in self.running:
            runner.job.note(runner.progress)
        ended = [(slot, one) for slot, one in self.running if one.ended or not one.job.watch(one.progress)]
        self._test(ended)
        for slot, runner in ended:
            self._slots[slot] = None
            yield runner.job, runner.progress

    def _note_baseline(self, slot: int, runner: _Runner, offsets: np.ndarray) -> None:
        """Notes epoch 0, which is the baseline alone, because the branch of the head begins at zero."""
        fold = runner.fold
        loss = runner.loss(offsets[fold.train], fold.train)
        runner.note(loss, runner.validation(offsets[fold.val]) if len(fold.val) else None)
        self._keep([(slot, runner)] if runner.improved else [])

    def _keep(self, improved: list[tuple[int, _Runner]]) -> None:
        """Keeps the current weights of the runners that `improved`."""
        weights = self._stack.weights([slot for slot, _ in improved]) if improved else []
        for (_, runner), values in zip(improved, weights, strict=True):
            runner.progress.best, runner.progress.weights = runner.progress.epochs, values

    def _train_once(self) -> None:
        stack, steps = self._stack, self._steps
        rows = np.zeros((steps, stack.slots, stack.batch), np.int32)
        keep = np.zeros((stack.slots, stack.batch, stack.vector), np.float32)
        weights = np.zeros((stack.slots, stack.batch), np.float32)
        keeps = {}
        for slot, runner in self.running:
            rows[:, slot] = runner.batches(steps, stack.batch)
            keeps[slot] = runner.keeps(steps, keep.shape[1:])
        for step in range(steps):
            for slot, runner in self.running:
                keep[slot] = next(keeps[slot])
                weights[slot] = runner.weights[rows[step, slot]]
            stack.step(rows[step], keep, weights)

    def _test(self, ended: list[tuple[int, _Runner]]) -> None:
        """Notes what the weights that are kept say of the test clips of the folds of those that `ended`."""
        judging = {slot: runner for slot, runner in ended if runner.progress.weights and len(runner.fold.test)}
        for slot, runner in judging.items():
            self._stack.fill(slot, runner.progress.weights)
        logits = self._logits({slot: runner.fold.test for slot, runner in judging.items()})
        for slot, runner in judging.items():
            runner.progress.tested = logits[slot]

    def _logits(self, rows: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
        """Returns the logits, float64 (R,), of the heads at some slots for their clips `rows` int (R,), if any."""
        rows = {slot: own for slot, own in rows.items() if len(own)}
        if not rows:
            return {}
        table = np.zeros((self._stack.slots, max(map(len, rows.values()))), np.int32)
        for slot, own in rows.items():
            table[slot, : len(own)] = own
        logits = self._stack.logits(table)
        return {slot: logits[slot, : len(own)] for slot, own in rows.items()}
