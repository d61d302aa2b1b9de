"""What an update reports, and the running means that people read."""

from typing import NamedTuple


class UpdateReport(NamedTuple):
    """One update: mean loss of this worker's tokens in nats, target tokens of all workers, wall seconds.

    On a GPU the loss is that of the update before; the first has none.
    """

    loss: float | None
    tokens: int
    seconds: float


class Meter:
    """Running means of loss and speed, over about the last fifty updates."""

    def __init__(self) -> None:
        """Begins with nothing."""
        self.loss = self.rate = 0.0
        self._count = self._losses = 0

    def add(self, report: UpdateReport) -> None:
        """Takes one update in."""
        self._count += 1
        share = max(0.02, 1 / self._count)
        if report.loss is not None:
            self._losses += 1
            self.loss += max(0.02, 1 / self._losses) * (report.loss - self.loss)
        self.rate += share * (report.tokens / report.seconds - self.rate)

    def values(self) -> dict[str, float]:
        """Returns what is worth a curve."""
        return {"loss/train": self.loss, "tokens_per_second": self.rate}
