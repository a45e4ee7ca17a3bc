"""Weights to begin with: those of the same model, or of the backbone that a search model grows from."""

from recsys.checkpoints import Checkpoint
from recsys.data import SequenceData
from recsys.errors import InputError
from recsys.models import Model
from recsys.models.searches import SearchBranch


def fits_data(checkpoint: Checkpoint, data: SequenceData, named: str) -> None:
    """See that a checkpoint numbers items, and users if it knows any, as the data does.

    Raises:
        InputError: it does not, said of what is `named`.
    """
    theirs, ours = checkpoint.items, data.dataset.items
    if theirs.sha256 != ours.sha256:
        shared = len(set(theirs.tokens) & set(ours.tokens))
        raise InputError(
            f"{named}: trained on another item vocabulary than {data.path}: {len(theirs) - 1:,} items against "
            f"{len(ours) - 1:,}, {shared:,} of them the same. It takes the data that it was trained on, and the same "
            "--data.min_count and --data.vocabulary."
        )
    if checkpoint.network.embeds_users and checkpoint.data.get("fingerprint") != data.dataset.fingerprint:
        raise InputError(f"{named}: knows the users of other data than {data.path}.")


def grow(network: Model, source: Model, named: str, freeze: bool) -> None:
    """Begin with the weights of a trained model, or put those of a backbone inside a model that reads searches.

    The backbone is frozen when that is asked for.

    Raises:
        InputError: another model, another shape; to freeze what is not neutral.
    """
    branch = network if isinstance(network, SearchBranch) else None
    if branch is None and source.title != network.title:
        raise InputError(
            f"{named}: a {network.title} cannot grow from a {source.title}, only from another {network.title}; "
            "SearchSASRec can from a SASRec too, and SearchBERT4Rec from a BERT4Rec."
        )
    if branch is not None and freeze and not branch.neutral:
        raise InputError(
            "--model.network.init_args.fusion interleave: its tokens are in every softmax, so the backbone must learn "
            "too: set --model.freeze_backbone false, and --model.warm_start null to begin from nothing."
        )
    load = network.load_state_dict if branch is None else branch.load_backbone
    try:
        load(source.state_dict())
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{named}: a {source.title} of another shape ({error}).") from error
    for parameter in () if branch is None else branch.backbone():
        parameter.requires_grad_(not freeze)
