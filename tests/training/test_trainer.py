"""Updates against their formulas, and the course of a run: averages, patience, checkpoints, exact resume."""

import copy
import itertools
import signal
from collections.abc import Callable, Iterator
from math import sqrt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.training.small_run import (
    ALONE,
    TRAINING,
    assert_same_run,
    make_trainer,
    saved_tensors,
    small_tokenizer,
    write_run,
)
from training.batching import plan_epoch
from training.config import load_config
from training.distributed import Workers
from training.experiment import trainer_for
from training.loss import SMALLEST_SHARE
from training.optimizer import can_learn_in_bfloat16
from training.schedule import learning_rate
from training.trainer import Trainer
from training.validation import Validation
from translator.batch import pad
from translator.checkpoint import load_checkpoint
from translator.errors import CheckpointError, TrainingError
from translator.tokenizer import Tokenizer

Weights = dict[str, Tensor]


def weights_of(module: torch.nn.Module) -> Weights:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def watch(trainer: Trainer) -> list[tuple[Weights, float, Weights]]:
    """Fills up, as the run goes on, with each update's gradients, learning rate and resulting weights."""
    seen: list[tuple[Weights, float, Weights]] = []
    held: list[Weights] = []

    def before(optimizer: torch.optim.Optimizer, *_: object) -> None:
        held.append({name: weight.grad.clone() for name, weight in trainer.model.named_parameters()
                     if weight.grad is not None})  # fmt: skip

    def after(optimizer: torch.optim.Optimizer, *_: object) -> None:
        seen.append((held.pop(), optimizer.param_groups[0]["lr"], weights_of(trainer.model)))

    trainer.optimizer.register_step_pre_hook(before)
    trainer.optimizer.register_step_post_hook(after)
    return seen


def first_gradients(folder: Path, **training: Any) -> Weights:
    trainer = make_trainer(folder, max_steps=1, **training)
    seen = watch(trainer)
    trainer.run()
    return seen[0][0]


def norm_of(gradients: Weights) -> float:
    return sqrt(sum(float(gradient.square().sum()) for gradient in gradients.values()))


@pytest.mark.parametrize(("accumulate", "alignment_weight"), [(1, 0.0), (3, 0.0), (3, 0.7)])
def test_an_update_follows_the_mean_over_all_tokens_of_its_batches(
    tmp_path: Path, accumulate: int, alignment_weight: float
) -> None:
    (tmp_path / "text.links").write_text("0-2 1-1\n" * 20)
    trainer = make_trainer(
        tmp_path, max_steps=1, accumulate=accumulate, max_gradient_norm=0, label_smoothing=0.2,
        alignment_weight=alignment_weight, corpus={"links_file": "text.links"},
    )  # fmt: skip
    model = copy.deepcopy(trainer.model)
    plan = plan_epoch(trainer.dataset, batch_tokens=40, seed=1, epoch=0)
    examples = np.concatenate(plan[:accumulate])
    losses, tokens = [], 0
    for example in examples:  # each alone: no padding
        batch = trainer.dataset.batch(np.array([example]))
        said = model(batch.source, batch.target_input)
        logits = model.logits(said.readout)[0]  # [T, V]
        losses.append(
            functional.cross_entropy(logits, batch.target_output.ids[0], label_smoothing=0.2, reduction="sum")
        )
        tokens += len(logits)
        guides = trainer.dataset.guides(np.array([example]))
        assert guides is not None
        for position, (first, last) in enumerate(guides[0].tolist()):
            if first >= 0:
                share = said.attention_weights[0, position, first : last + 1].sum()
                losses.append(-alignment_weight * (share + SMALLEST_SHARE).log())
    torch.autograd.backward(sum(losses[1:], losses[0]) / tokens)
    seen = watch(trainer)
    trainer.run()
    for name, weight in model.named_parameters():
        torch.testing.assert_close(seen[0][0][name], weight.grad, msg=name)


@pytest.mark.parametrize("longest", [0.01, 0.3])
def test_long_gradients_are_scaled_down_to_the_limit(tmp_path: Path, longest: float) -> None:
    whole, clipped = (first_gradients(tmp_path, max_gradient_norm=norm) for norm in (0, longest))
    assert norm_of(whole) > longest
    assert norm_of(clipped) == pytest.approx(longest, rel=1e-3)
    for name, gradient in whole.items():
        torch.testing.assert_close(clipped[name], gradient * longest / norm_of(whole), rtol=1e-3, atol=1e-6)


def test_short_gradients_stay_as_they_are(tmp_path: Path) -> None:
    whole, clipped = (first_gradients(tmp_path, max_gradient_norm=norm) for norm in (0, 1000.0))
    assert all(torch.equal(clipped[name], gradient) for name, gradient in whole.items())


def test_the_first_step_of_adamw_is_the_sign_of_the_gradient(tmp_path: Path) -> None:
    """From moments of nought, m / sqrt(v) = g / |g|; decay pulls on matrices only (Loshchilov & Hutter 2019)."""
    trainer = make_trainer(tmp_path, max_steps=1, weight_decay=0.5)
    start = weights_of(trainer.model)
    seen = watch(trainer)
    trainer.run()
    [(gradients, rate, found)] = seen
    for name, gradient in gradients.items():
        decayed = start[name] * (1 - rate * 0.5) if start[name].dim() > 1 else start[name]
        torch.testing.assert_close(found[name], decayed - rate * gradient / (gradient.abs() + 1e-9), rtol=0, atol=1e-6)


def test_every_update_has_the_rate_of_its_step(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, learning_rate=0.02, warmup_steps=3, decay="linear")
    seen = watch(trainer)
    trainer.run()
    assert [rate for _, rate, _ in seen] == [
        learning_rate(step, peak=0.02, warmup_steps=3, max_steps=6, decay="linear") for step in range(1, 7)
    ]


def test_the_clock_ends_a_run_whose_decay_keeps_up_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is read four times an update, from the first to the last a second: in six seconds six are made."""
    times = itertools.count()
    monkeypatch.setattr("training.trainer.time", SimpleNamespace(monotonic=lambda: next(times) / 3))
    settings: dict[str, Any] = {"max_steps": 100, "max_minutes": 0.1, "learning_rate": 1.0, "warmup_steps": 0}
    trainer = make_trainer(tmp_path, decay="linear", **settings)
    seen = watch(trainer)
    assert trainer.run().step == 6
    assert [rate for _, rate, _ in seen] == pytest.approx([0.99, 0.84, 0.67, 0.5, 0.34, 0.17], abs=0.011)
    assert (tmp_path / "small" / "last").is_dir()


def test_a_validation_that_would_use_up_the_clock_is_left_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times, validated = itertools.count(), list[int]()
    monkeypatch.setattr("training.trainer.time", SimpleNamespace(monotonic=lambda: next(times) / 3))
    trainer = make_trainer(tmp_path, max_steps=100, max_minutes=0.12, validation={"every_steps": 2})

    def validate(writer: object) -> None:
        validated.append(trainer.progress.step)
        trainer.progress.seconds += 2

    monkeypatch.setattr(trainer, "_validate", validate)
    # an update takes a second, a validation 2.3: after the one at step 2 it is 4.3 of 7.2 seconds, at step 4 it is 6.3
    trainer.run()
    assert validated == [2, 5]


def test_the_average_is_the_one_of_its_formula(tmp_path: Path) -> None:
    """a_n = d_n a_(n-1) + (1 - d_n) w_n with d_n = min(decay, (1 + n) / (10 + n)); 0.3 is overtaken at n = 3."""
    trainer = make_trainer(tmp_path, average_decay=0.3)
    expected = weights_of(trainer.model)
    seen = watch(trainer)
    trainer.run()
    for step, (_, _, weights) in enumerate(seen, start=1):
        decay = min(0.3, (1 + step) / (10 + step))
        expected = {name: decay * expected[name] + (1 - decay) * weights[name] for name in weights}
    for name, average in trainer.average.state_dict().items():
        torch.testing.assert_close(average, expected[name])


def test_without_an_average_the_weights_themselves_are_taken(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, average_decay=0)
    trainer.run()
    weights = trainer.model.state_dict()
    assert all(torch.equal(average, weights[name]) for name, average in trainer.average.state_dict().items())


def test_token_dropout_spares_the_first_token_eos_and_padding(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, token_dropout=0.4)
    lengths = np.random.default_rng(0).integers(2, 40, size=300)
    padded = pad([[4, *range(6, 4 + length), Tokenizer.eos_id] for length in lengths], Tokenizer.pad_id)
    found = trainer._drop_tokens(padded)
    may_go = padded.mask & (padded.ids != Tokenizer.eos_id)
    may_go[:, 0] = False
    dropped = found.ids != padded.ids
    assert torch.equal(found.ids[~may_go], padded.ids[~may_go])
    assert (found.ids[dropped] == Tokenizer.unk_id).all()
    assert float(dropped[may_go].float().mean()) == pytest.approx(0.4, abs=0.03)  # about 6,000 draws
    assert torch.equal(found.mask, padded.mask)


def test_without_token_dropout_the_batch_is_left_alone(tmp_path: Path) -> None:
    padded = pad([[4, 6, 3]], Tokenizer.pad_id)
    assert make_trainer(tmp_path)._drop_tokens(padded) is padded


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    found = []
    for number, seed in enumerate((1, 1, 2)):
        trainer = make_trainer(tmp_path, name=f"run{number}", seed=seed, dropout=0.3, token_dropout=0.2)
        trainer.run()
        found.append(trainer.model.embedding.weight)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Weights]]:
    """Replaces validation by given BLEU scores; what was judged is kept."""

    def script(*scores: float, losses: tuple[float, ...] = (1.0,) * 9) -> list[Weights]:
        judged: list[Weights] = []

        def validate(model: torch.nn.Module, *_: object) -> Validation:
            judged.append(weights_of(model))
            return Validation(losses[len(judged) - 1], {"en-de": scores[len(judged) - 1]})

        monkeypatch.setattr("training.trainer.validate", validate)
        return judged

    return script


def test_without_a_better_bleu_patience_runs_out(tmp_path: Path, judge: Callable[..., list[Weights]]) -> None:
    judged = judge(1.0, 5.0, 3.0, 5.0, 9.0)
    progress = make_trainer(tmp_path, max_steps=9, validation={"every_steps": 1, "patience": 2}).run()
    assert (len(judged), progress.step, progress.stale) == (4, 4, 2)
    assert (progress.best_bleu, progress.best_step) == (5.0, 2)


def test_of_two_with_the_same_bleu_the_one_of_lower_loss_is_better(
    tmp_path: Path, judge: Callable[..., list[Weights]]
) -> None:
    judge(0.0, 0.0, 0.0, 5.0, 5.0, losses=(3.0, 2.0, 2.5, 2.6, 2.6))
    progress = make_trainer(tmp_path, max_steps=5, validation={"every_steps": 1}).run()
    assert (progress.best_bleu, progress.best_loss, progress.best_step, progress.stale) == (5.0, 2.6, 4, 1)


def test_patience_of_nought_never_stops(tmp_path: Path, judge: Callable[..., list[Weights]]) -> None:
    judge(5.0, 4.0, 3.0, 2.0, 1.0)
    assert make_trainer(tmp_path, max_steps=5, validation={"every_steps": 1}).run().step == 5


def test_the_best_and_the_last_average_are_kept(tmp_path: Path, judge: Callable[..., list[Weights]]) -> None:
    judged = judge(1.0, 5.0, 3.0)
    make_trainer(tmp_path, max_steps=5, validation={"every_steps": 2}).run()  # after 2, 4, and 5 as the end
    for name, expected in (("best", judged[1]), ("last", judged[2])):
        found = load_checkpoint(tmp_path / "small" / name).model.state_dict()
        assert all(torch.equal(found[key], tensor) for key, tensor in expected.items())


INTERRUPTED: dict[str, Any] = {
    "dropout": 0.3,
    "validation": {"every_steps": 3, "sentences": 4},
    "token_dropout": 0.2,
    "weight_dropout": 0.2,
    "accumulate": 2,
    "max_steps": 8,
}


def run_until(path: Path, *, stop_at: int | None, resume: bool) -> Trainer:
    """Runs an experiment; a SIGTERM comes in the middle of update `stop_at`."""
    trainer = trainer_for(load_config(path), ALONE)
    if resume:
        trainer.resume()

    def stop(*_: object) -> None:
        if trainer.progress.step == stop_at:
            signal.raise_signal(signal.SIGTERM)

    trainer.optimizer.register_step_post_hook(stop)
    trainer.run()
    return trainer


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    trainer = run_until(write_run(folder, **INTERRUPTED), stop_at=None, resume=False)
    assert trainer.progress.epoch >= 2, "the run must cross the border of an epoch"
    yield folder / "small"


@pytest.mark.parametrize("stops", [[1], [2], [3], [4], [5], [7], [2, 3, 6]], ids=lambda stops: f"after {stops}")
def test_a_run_that_was_stopped_and_resumed_equals_one_that_was_not(
    tmp_path: Path, uninterrupted: Path, stops: list[int]
) -> None:
    path = write_run(tmp_path, **INTERRUPTED)
    for number, stop_at in enumerate([*stops, None]):
        torch.manual_seed(99)  # whatever the process did before
        trainer = run_until(path, stop_at=stop_at, resume=number > 0)
        assert trainer.progress.step == (stop_at or INTERRUPTED["max_steps"])
    assert_same_run(tmp_path / "small", uninterrupted)


@pytest.mark.skipif(not can_learn_in_bfloat16(), reason="PyTorch's LSTM has no bfloat16 on this processor")
def test_with_bfloat16_too(tmp_path: Path) -> None:
    runs = []
    for name, stops in (("whole", [None]), ("parts", [3, None])):
        path = write_run(tmp_path, name=name, **INTERRUPTED, precision="bfloat16")
        for number, stop_at in enumerate(stops):
            run_until(path, stop_at=stop_at, resume=number > 0)
        runs.append(saved_tensors(tmp_path / name))
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])


def test_a_signal_handler_of_before_is_put_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    run_until(write_run(tmp_path), stop_at=1, resume=False)
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_state_of_another_experiment_is_refused(tmp_path: Path) -> None:
    run_until(write_run(tmp_path), stop_at=2, resume=False)
    with pytest.raises(CheckpointError, match=r"small belongs to another configuration or corpus; undo the change"):
        make_trainer(tmp_path, learning_rate=0.02).resume()


def test_the_tokenizer_of_a_run_is_always_the_same(tmp_path: Path) -> None:
    trainers = [make_trainer(tmp_path) for _ in range(2)]
    models = {trainer.tokenizer.to_bytes() for trainer in trainers}
    assert len(models) == 1
    assert small_tokenizer().languages == trainers[0].tokenizer.languages


def test_a_run_that_diverges_says_so_and_keeps_its_weights(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    with torch.no_grad():
        trainer.model.output_bias.fill_(torch.nan)
    kept = {name: weight.clone() for name, weight in trainer.average.state_dict().items()}
    with pytest.raises(TrainingError, match="step 1 is not finite: the run diverged"):
        trainer.run()
    assert all(torch.equal(kept[name], weight) for name, weight in trainer.average.state_dict().items())


def test_a_resume_with_another_number_of_processes_is_refused(tmp_path: Path) -> None:
    make_trainer(tmp_path, validation={"every_steps": 6}).run()
    two = Workers(rank=0, size=2, device=torch.device("cpu"))
    with pytest.raises(CheckpointError, match=r"saved by 1 process\(es\), and this run has 2"):
        make_trainer(tmp_path, workers=two, validation={"every_steps": 6}).resume()


def test_a_run_that_lost_patience_stays_stopped_when_resumed(
    tmp_path: Path, judge: Callable[..., list[Weights]]
) -> None:
    judge(2.0, 1.0, 1.0, 1.0)
    settings: dict[str, Any] = {"validation": {"every_steps": 1, "patience": 1}}
    stopped = make_trainer(tmp_path, **settings).run().step
    again = make_trainer(tmp_path, **settings)
    again.resume()
    assert again.run().step == stopped < int(str(TRAINING["max_steps"]))
