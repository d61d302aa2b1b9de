"""One LSTM layer: PyTorch's fused sequence kernel, or another in its place, and dropout on the recurrent weights."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from translator.dropout import dropout_mask

State = tuple[Tensor, Tensor]
SequenceKernel = Callable[[Tensor, State, list[Tensor]], tuple[Tensor, State]]
"""Runs a layer: from inputs, state and weights as `torch.lstm` takes them, outputs and the state after."""


class LstmLayer(nn.LSTM):
    """One layer, one direction, [B, T, input_size] to [B, T, hidden_size].

    Dropping a unit at one step of a sequence would cut the memory that the layer is there for. Dropping single
    recurrent weights, the same ones at every step of a batch, does not, and costs nothing in the kernel.

    Args:
        input_size: Width of the inputs.
        hidden_size: H, units.

    Source: Merity et al. 2018, section 2 (DropConnect on hidden-to-hidden weights); Wan et al. 2013.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        """Makes the weights.

        The bias of the forget gate starts at 1, so that the memory cell keeps what it holds until it learns to let go
        (Gers et al. 2000; Jozefowicz et al. 2015, section 2.2). PyTorch's second, redundant bias vector starts at 0.
        """
        super().__init__(input_size, hidden_size, batch_first=True)
        self.weight_dropout = 0.0
        self.sequence_kernel: SequenceKernel | None = None  # learns in the place of PyTorch's on a CPU in bfloat16
        parameters = dict(self.named_parameters())
        with torch.no_grad():
            parameters["bias_ih_l0"].zero_()[hidden_size : 2 * hidden_size].fill_(1.0)
            parameters["bias_hh_l0"].zero_()
            nn.init.xavier_uniform_(parameters["weight_ih_l0"])
            for gate in parameters["weight_hh_l0"].chunk(4):
                nn.init.orthogonal_(gate)

    def forward(  # type: ignore[override]
        self, inputs: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Reads `inputs` from `state` (hidden and cell, each [1, B, H]; zeros if None)."""
        dropping = self.training and self.weight_dropout > 0
        kernel = self._kernel(inputs)
        # PyTorch's own way does for everything that neither drops weights nor runs by another kernel.
        if not dropping and kernel == self._run:
            outputs, after = super().forward(inputs, state)
            return outputs, after
        if state is None:
            zeros = inputs.new_zeros(1, len(inputs), self.hidden_size)
            state = zeros, zeros
        weights: list[Tensor] = list(self.all_weights[0])  # from the inputs, recurrent, and two biases
        if dropping:
            shape = (4 * self.hidden_size, self.hidden_size)
            weights[1] = weights[1] * dropout_mask(shape, self.weight_dropout, device=inputs.device)
        return kernel(inputs, state, weights)

    def _kernel(self, inputs: Tensor) -> SequenceKernel:
        if inputs.is_cuda:
            return self._run_in_autocast_type if torch.is_autocast_enabled("cuda") else self._run
        narrow = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        if self.sequence_kernel and self.training and narrow and inputs.device.type == "cpu":
            return self.sequence_kernel
        return self._run

    def _run(self, inputs: Tensor, state: State, weights: list[Tensor]) -> tuple[Tensor, State]:
        outputs, hidden, cell = torch.lstm(
            inputs, state, weights, has_biases=True, num_layers=1, dropout=0.0, train=self.training,
            bidirectional=False, batch_first=True,
        )  # fmt: skip
        return outputs, (hidden, cell)

    def _run_in_autocast_type(self, inputs: Tensor, state: State, weights: list[Tensor]) -> tuple[Tensor, State]:
        """Under autocast PyTorch would run cuDNN's kernel in float16, whose gradients vanish unless they are scaled."""
        dtype = torch.get_autocast_dtype("cuda")
        with torch.autocast("cuda", enabled=False):
            hidden, cell = (part.to(dtype) for part in state)
            return self._run(inputs.to(dtype), (hidden, cell), [weight.to(dtype) for weight in weights])


def drop_recurrent_weights(model: nn.Module, probability: float) -> None:
    """Sets how likely every layer of `model` drops a recurrent weight while it trains; 0 is off."""
    for module in model.modules():
        if isinstance(module, LstmLayer):
            module.weight_dropout = probability
