"""The trainer: updates, validation, checkpoints, exact resume.

A run's folder holds `best/` and `last/` (checkpoints that translate), `state/` (what a resume needs) and
`tensorboard/`. Batches come from a plan that is a pure function of (seed, epoch), and the random generators are saved
with the weights, so a run that was killed anywhere and resumed equals one that was not, bit for bit on a CPU (unless
it ends by the clock).
"""

import copy
import logging
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from training.batching import Examples, plans_ahead
from training.config import ExperimentConfig
from training.dataset import Dataset
from training.distributed import Workers
from training.interruption import stop_request
from training.kernels import use_kernels
from training.loss import alignment_loss, token_loss
from training.meter import Meter, UpdateReport
from training.optimizer import choose_precision, make_optimizer
from training.outcomes import Outcomes
from training.schedule import learning_rate
from training.state import Progress, load_state, restore_random, save_state
from training.validation import HeldOut, Validation, validate
from translator.batch import PaddedIds
from translator.checkpoint import Checkpoint, Manifest, save_checkpoint
from translator.errors import CheckpointError
from translator.lstm import drop_recurrent_weights
from translator.model import TranslationModel
from translator.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

LOG_EVERY = 50


class Trainer:
    """One run.

    Args:
        config: The experiment.
        fingerprint: Of everything that must not change between a run and its resume.
        dataset: What is learned from.
        held_out: What is validated on.
        tokenizer: Of both.
        manifest: For the checkpoints; scores are filled in by evaluation, later.
        card: Model card of the checkpoints.
        weights: The first ones by name; empty for random ones.
        workers: This process among others.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        *,
        fingerprint: str,
        dataset: Dataset,
        held_out: Sequence[HeldOut],
        tokenizer: Tokenizer,
        manifest: Manifest,
        card: str,
        weights: Mapping[str, Tensor],
        workers: Workers,
    ) -> None:
        """Makes model, average and optimiser from the seed, and from `weights` if there are any."""
        self.config, self.options, self.workers = config, config.training, workers
        self.dataset, self.held_out, self.tokenizer = dataset.to(workers.device), held_out, tokenizer
        self.manifest, self.card = manifest, card
        if self.options.threads:
            torch.set_num_threads(self.options.threads)
        torch.manual_seed(self.options.seed)
        self.model = TranslationModel.from_config(manifest.model).to(workers.device)
        if weights:
            self.model.load_state_dict(weights)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        drop_recurrent_weights(self.model, self.options.weight_dropout)
        self.optimizer = make_optimizer(self.model, config.training)
        self.progress = Progress(config=fingerprint, workers=workers.size)
        self.meter = Meter()
        self._validation_seconds = 0.0  # that the last one took
        self.outcomes = Outcomes(workers.device)
        self.precision = choose_precision(self.options.precision, workers.device)
        self._by_kernels = self.precision == "bfloat16" and workers.device.type == "cpu" and use_kernels(self.model)
        torch.manual_seed(self.options.seed)

    def resume(self) -> None:
        """Goes on from the saved state.

        Raises:
            CheckpointError: There is none, or it belongs to another experiment.
        """
        state = load_state(self.config.output / "state", device=self.workers.device)
        if state.progress.config != self.progress.config:
            raise CheckpointError(
                f"The state in {self.config.output} belongs to another configuration or corpus; undo the change, or "
                "train into another folder."
            )
        if state.progress.workers != self.workers.size:
            raise CheckpointError(
                f"The state in {self.config.output} was saved by {state.progress.workers} process(es), and this run "
                f"has {self.workers.size}; resume with as many as before."
            )
        self.progress = state.progress
        self.model.load_state_dict(state.weights)
        self.average.load_state_dict(state.average)
        for name, parameter in self.model.named_parameters():
            if name in state.moments:
                self.optimizer.state[parameter] = dict(state.moments[name])
        if self.workers.leads:
            restore_random(state.random)
        logger.info("going on from step %d of %d", self.progress.step, self.options.max_steps)

    def run(self) -> Progress:
        """Trains to the end, to the loss of patience, or to the first SIGINT or SIGTERM, which saves and returns."""
        how = f"precision {self.precision}{', own kernels' if self._by_kernels else ''}"
        logger.info("%s, device %s, %d worker(s)", how, self.workers.device, self.workers.size)
        hidden = None if self.workers.leads else True  # None: shown on a terminal only
        bar = tqdm(total=self.options.max_steps, initial=self.progress.step, unit="step", disable=hidden)
        with bar, closing(self.updates()) as updates, stop_request() as stop, self._writer() as writer:
            # Asked before the first update too: a run that had stopped early stays stopped when it is resumed.
            while not self._has_lost_patience() and (batches := next(updates, None)) is not None:
                self._step(batches, writer)
                bar.update()
                rate = f"loss {self.meter.loss:.3f}, {self.meter.rate:,.0f} target tokens/s"
                bar.set_postfix_str(rate, refresh=False)
                if self.workers.agree(stop.made):
                    self.outcomes.settle()
                    logger.info("stopped by a signal at step %d; go on with --resume", self.progress.step)
                    self._save()
                    break
        return self.progress

    def _step(self, batches: list[Examples], writer: SummaryWriter | None) -> None:
        """Makes one update, and what is due after it."""
        with self._stopwatch():
            self.meter.add(self.update(batches))
        if self.progress.step % LOG_EVERY == 0:
            self._log(writer, self.meter.values() | {"learning_rate": self._rate()})
        if self._is_time_to_validate():
            started = self.progress.seconds
            with self._stopwatch():
                self.outcomes.settle()
                self._validate(writer)
            self._validation_seconds = self.progress.seconds - started
            self._save()

    def _is_time_to_validate(self) -> bool:
        if self._is_over():
            return True
        due = self.progress.step % self.config.validation.every_steps == 0
        # One that would use up the clock is left to the end: the last updates, at low rates, are worth more.
        return due and self._reached(ahead=2 * self._validation_seconds) < self.options.max_steps

    def _is_over(self) -> bool:
        return self._reached() >= self.options.max_steps

    def _reached(self, *, ahead: float = 0.0) -> int:
        """How far the run is, in updates of `max_steps`: those it made, or more if the clock is ahead of them.

        Args:
            ahead: Seconds from now.
        """
        limit, step = 60 * self.options.max_minutes, self.progress.step
        if not limit:
            return step
        return max(step, int(self.options.max_steps * self.workers.broadcast(self.progress.seconds + ahead) / limit))

    def _has_lost_patience(self) -> bool:
        patience = self.config.validation.patience
        lost = bool(patience) and self.workers.broadcast(self.progress.stale) >= patience
        if lost:
            logger.info("stopped at step %d: no better BLEU for too long", self.progress.step)
        return lost

    @contextmanager
    def _stopwatch(self) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.progress.seconds += time.monotonic() - started

    @contextmanager
    def _writer(self) -> Iterator[SummaryWriter | None]:
        if not self.workers.leads:
            yield None
            return
        with SummaryWriter(str(self.config.output / "tensorboard"), purge_step=self.progress.step + 1) as writer:
            yield writer

    def updates(self) -> Generator[list[Examples]]:
        """Yields each update's batches from where the run is; every worker sees all of them."""
        share = self.options.accumulate * self.workers.size
        plans = plans_ahead(
            self.dataset,
            batch_tokens=self.options.batch_tokens,
            seed=self.options.seed,
            first_epoch=self.progress.epoch,
        )
        with closing(plans):
            while not self._is_over():
                plan = next(plans)
                updates = [plan[start : start + share] for start in range(0, len(plan), share)]
                for batches in updates[self.progress.position :]:
                    if self._is_over():
                        return
                    self.progress.position += 1
                    yield batches
                self.progress.epoch, self.progress.position = self.progress.epoch + 1, 0

    def update(self, batches: list[Examples]) -> UpdateReport:
        """Makes one update from the batches of all workers."""
        started = time.monotonic()
        self.model.train()
        # Every worker drops other units: worker 0 what a single process would, from the generator that is saved with
        # the state; the others from one made anew for every update, so that they need none saved.
        if self.workers.rank:
            torch.manual_seed(hash((self.options.seed, self.workers.rank, self.progress.step)))
        tokens = [int(self.dataset.target_lengths[examples].sum()) for examples in batches]
        own = slice(self.workers.rank, None, self.workers.size)
        likelihood = torch.zeros((), device=self.workers.device)
        for examples in batches[own]:
            batch = self.dataset.batch(examples)
            with torch.autocast(self.workers.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"):
                said = self.model(self._drop_tokens(batch.source), self._drop_tokens(batch.target_input))
            output = batch.target_output
            losses = token_loss(
                said.readout,
                self.model.embedding.weight,
                self.model.output_bias,
                output.ids,
                output.mask,
                label_smoothing=self.options.label_smoothing,
            )
            loss = losses.smoothed
            if self.options.alignment_weight and (guides := self.dataset.guides(examples)) is not None:
                loss = loss + self.options.alignment_weight * alignment_loss(said.attention_weights, guides)
            torch.autograd.backward(loss / sum(tokens))
            likelihood += losses.negative_log_likelihood
        self.progress.step += 1
        self.workers.add_gradients(self.model.parameters())
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.options.max_gradient_norm or torch.inf)
        self.outcomes.add(self.progress.step, norm, likelihood / max(1, sum(tokens[own])))
        self._apply_gradients()
        return UpdateReport(self.outcomes.loss, sum(tokens), time.monotonic() - started)

    def _apply_gradients(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        # Early on the average follows closely, so that it forgets the random start.
        step, decay = self.progress.step, self.options.average_decay
        decay = min(decay, (1 + step) / (10 + step))
        averages: list[Tensor] = list(self.average.parameters())
        weights: list[Tensor] = [weight.detach() for weight in self.model.parameters()]
        torch._foreach_lerp_(averages, weights, 1 - decay)

    def _rate(self) -> float:
        options = self.options
        return learning_rate(
            max(1, self._reached()),
            peak=options.learning_rate,
            warmup_steps=options.warmup_steps,
            max_steps=options.max_steps,
            decay=options.decay,
        )

    def _drop_tokens(self, padded: PaddedIds) -> PaddedIds:
        """Replaces random pieces by the unknown token; the first token (language, bos) and eos are spared."""
        if not self.options.token_dropout:
            return padded
        drop = torch.rand(padded.ids.shape, device=padded.ids.device) < self.options.token_dropout
        drop &= padded.mask & (padded.ids != self.tokenizer.eos_id)
        drop[:, 0] = False
        return padded._replace(ids=padded.ids.masked_fill(drop, self.tokenizer.unk_id))

    def _validate(self, writer: SummaryWriter | None) -> None:
        if not self.workers.leads:
            return
        found: Validation = validate(self.average, self.tokenizer, self.held_out, self.config.validation.decoding)
        progress = self.progress
        scores = ", ".join(f"{name} {score:.2f}" for name, score in found.bleu.items())
        logger.info(
            "step %d, epoch %d, %.0f s: train loss %.3f, %.0f target tokens/s, dev loss %.3f, BLEU %s",
            progress.step, progress.epoch, progress.seconds, self.meter.loss, self.meter.rate, found.loss, scores,
        )  # fmt: skip
        self._log(writer, {"loss/dev": found.loss} | {f"bleu/{name}": score for name, score in found.bleu.items()})
        progress.stale += 1
        # While no word is right yet, BLEU stands at 0; the loss tells that things get better all the same.
        if (found.mean_bleu, -found.loss) > (progress.best_bleu, -progress.best_loss):
            progress.best_bleu, progress.best_loss = found.mean_bleu, found.loss
            progress.best_step, progress.stale = progress.step, 0
            self._export("best")
        self._export("last")

    def _export(self, name: str) -> None:
        save_checkpoint(
            self.config.output / name, Checkpoint.of(self.manifest, self.average, self.tokenizer), card=self.card
        )

    def _save(self) -> None:
        if not self.workers.leads:
            return
        moments = {
            name: {key: value for key, value in self.optimizer.state[parameter].items() if isinstance(value, Tensor)}
            for name, parameter in self.model.named_parameters()
            if parameter in self.optimizer.state
        }
        save_state(
            self.config.output / "state",
            self.progress,
            weights=self.model.state_dict(),
            average=self.average.state_dict(),
            moments=moments,
        )

    def _log(self, writer: SummaryWriter | None, values: dict[str, float]) -> None:
        if writer is None:
            return
        for name, value in values.items():
            writer.add_scalar(name, value, self.progress.step)
