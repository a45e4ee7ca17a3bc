import pytest
import torch

from recsys.models import Batch
from recsys.models.text import gram_matrix


@pytest.fixture(scope="session")
def batch_of_one() -> Batch:
    """One history of three items with a search behind the second."""
    zero, nothing = torch.zeros(1, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
    return Batch(
        item=torch.tensor([[3, 1, 5]]),
        timestamp=torch.tensor([[100, 160, 5000]]),
        request_timestamp=torch.tensor([[160, 4000, 90000]]),
        next_item=zero,
        point_row=zero,
        point_position=zero + 2,
        request=zero,
        target_point=nothing,
        target_item=nothing,
        search_row=zero,
        search_position=zero + 1,
        search_type=zero + 1,
        search_gram=torch.from_numpy(gram_matrix(["red shoes"])),
    )
