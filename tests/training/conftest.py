"""What the tests of training share."""

from collections.abc import Iterator

import pytest
import torch

from tests.training.small_run import small_tokenizer
from translator.tokenizer import Tokenizer


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Puts back the number of threads, which a run sets for the whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """The tokenizer of small runs."""
    return small_tokenizer()
