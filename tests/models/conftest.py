from collections.abc import Callable, Sequence

import pytest
import torch

from recsys.models import Batch, Model
from recsys.models.text import TextEncoder, gram_matrix

Search = tuple[int, int, int, str]
"""Row, position, type, text."""


@pytest.fixture(scope="session")
def batch_of() -> Callable[..., Batch]:
    """Make a batch of histories with a point at the end of each, or at the given (row, position) pairs."""

    def make(
        histories: Sequence[Sequence[int]],
        searches: Sequence[Search] = (),
        points: Sequence[tuple[int, int]] | None = None,
        next_item: Sequence[int] | None = None,
        length: int = 1,
        times: Sequence[Sequence[int]] | None = None,
    ) -> Batch:
        length = max(length, *(len(history) for history in histories))
        points = [(i, max(0, len(h) - 1)) for i, h in enumerate(histories)] if points is None else points
        row, position = torch.tensor(points, dtype=torch.int64).reshape(-1, 2).T
        clicked = torch.zeros(0, length + 1, dtype=torch.int64)
        if times is not None:  # of the items, and of the request behind them
            clicked = torch.tensor([[*row, *[0] * (length + 1 - len(row))] for row in times])
        place = torch.tensor([search[:3] for search in searches], dtype=torch.int64).reshape(-1, 3)
        return Batch(
            item=torch.tensor([[*history, *[0] * (length - len(history))] for history in histories]),
            timestamp=clicked[:, :-1] if times is not None else None,
            request_timestamp=clicked[:, 1:] if times is not None else None,
            next_item=torch.tensor(next_item or [0] * len(histories)),
            point_row=row,
            point_position=position,
            request=torch.arange(len(points)),
            target_point=torch.arange(len(points)),
            target_item=torch.ones(len(points), dtype=torch.int64),
            search_row=place[:, 0],
            search_position=place[:, 1],
            search_timestamp=None if times is None else clicked[place[:, 0], place[:, 1]],  # with its item's click
            search_type=place[:, 2],
            search_gram=torch.from_numpy(gram_matrix([search[3] for search in searches])),
            search_click=torch.arange(len(searches)),
            search_click_item=torch.ones(len(searches), dtype=torch.int64),
            user=1 + row,
        )

    return make


@pytest.fixture(scope="session")
def trained() -> Callable[..., Model]:
    """Give a model weights that are large enough for every part to matter, in evaluation mode."""

    def make(network: Model, seed: int = 0) -> Model:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
            for module in network.modules():
                if isinstance(module, TextEncoder):
                    module.gram_embedding.weight[0] = 0  # padding: no training moves it
        return network.eval()

    return make
