"""The archives that `torch.save` writes, before anything looks into them."""

import zipfile
from pathlib import Path

from recsys.checkpoints.manifest import brief
from recsys.errors import InputError


def refuse_packed(file: Path) -> None:
    """See that an archive unfolds into no more than its own size; `torch.save` stores, it packs nothing.

    Raises:
        InputError: not such an archive.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{file}: refused, it is not an archive that torch.save writes ({brief(error)}).") from error
    packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
    if packed or sum(part.file_size for part in parts) > file.stat().st_size:
        raise InputError(f"{file}: refused, it would unfold into more than it is; torch.save packs nothing.")
