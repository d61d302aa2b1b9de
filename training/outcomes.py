"""How updates went: numbers that a GPU still owes when the next update is begun.

To ask a device for the newest loss is to wait until it has nothing left to do. So on a GPU what is read is the outcome
of the update before, which is there by the time it is asked for; on a CPU it is the update's own.
"""

from collections import deque

import torch
from torch import Tensor

from translator.errors import TrainingError


class Outcomes:
    """The losses and gradients of a run's updates, read in order.

    Args:
        device: Where they are computed.
    """

    def __init__(self, device: torch.device) -> None:
        """Begins with none."""
        self.loss: float | None = None  # of the newest update that was read
        self._lag = int(device.type == "cuda")
        self._unread = deque[tuple[int, Tensor, Tensor]]()

    def add(self, step: int, norm: Tensor, loss: Tensor) -> None:
        """Takes in update `step`, the length of its gradient and its mean loss, and reads what is there.

        Raises:
            TrainingError: An update that was read had a gradient that is not finite.
        """
        self._unread.append((step, norm, loss))
        self._read(self._lag)

    def settle(self) -> None:
        """Reads what is left, before anything is saved.

        Raises:
            TrainingError: As in `add`.
        """
        self._read(0)

    def _read(self, lag: int) -> None:
        while len(self._unread) > lag:
            step, norm, loss = self._unread.popleft()
            if not torch.isfinite(norm):
                raise TrainingError(
                    f"The gradient of step {step} is not finite: the run diverged. What was saved before is kept; "
                    "lower learning_rate, lengthen warmup_steps, or set precision = 'float32'."
                )
            self.loss = float(loss)
