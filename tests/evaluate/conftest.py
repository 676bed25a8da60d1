"""What tests of evaluation need."""

from collections.abc import Iterator
from functools import partial

import pytest

from evaluate.studies import protocols
from train.fit import FitConfig


@pytest.fixture(scope="module")
def few_epochs() -> Iterator[None]:
    """Has `protocols` train its heads for few epochs, where it does not matter how good they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocols, "FitConfig", partial(FitConfig, epochs=3))
        yield
