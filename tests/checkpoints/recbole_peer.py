"""Trains RecBole's models by RecBole, in an interpreter of its own: its Config changes numpy and the environment.

    python recbole_peer.py FOLDER

FOLDER is a data set folder. Beside it come MODEL.pth, pickled as RecBole's Trainer does it, and MODEL.json: ids of
histories as RecBole decodes them, and the scores of every item for each.
"""

import json
import sys
from pathlib import Path

import numpy
import torch

MODELS = ["SASRec", "BERT4Rec", "GRU4Rec", "STAMP", "Caser"]


def main(folder: Path) -> None:
    for old, new in {"float_": numpy.float64, "complex_": numpy.complex128, "unicode_": numpy.str_}.items():
        setattr(numpy, old, new)  # names of numpy 1 that Config wants
    sys.argv = sys.argv[:1]  # RecBole's Config reads the command line
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, init_seed

    for name in MODELS:
        settings = {
            "data_path": str(folder.parent),
            "load_col": {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "weight"]},
            "MAX_ITEM_LIST_LENGTH": 6,
            "train_neg_sample_args": None,
            "use_gpu": False,
            **{"hidden_size": 8, "embedding_size": 8, "inner_size": 12, "n_layers": 1, "train_batch_size": 16},
        }
        config = Config(model=name, dataset=folder.name, config_dict=settings)
        init_seed(7, True)
        dataset = create_dataset(config)
        train, _, test = data_preparation(config, dataset)
        model = get_model(name)(config, train.dataset).to(config["device"])
        optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
        for _, batch in zip(range(2), train, strict=False):
            optimizer.zero_grad()
            model.calculate_loss(batch).backward()
            optimizer.step()
        state = {  # RecBole 1.2.1, Trainer._save_checkpoint
            "config": config,
            "epoch": 0,
            "cur_step": 0,
            "best_valid_score": numpy.float64(0.25),
            "state_dict": model.state_dict(),
            "other_parameter": model.other_parameter(),
            "optimizer": optimizer.state_dict(),
        }
        protocol = 2 if name == "GRU4Rec" else 4  # older versions of RecBole took torch's default, 2
        torch.save(state, folder.parent / f"{name}.pth", pickle_protocol=protocol)
        model.eval()
        interaction = next(iter(test))[0]
        histories = [row[row > 0] for row in interaction["item_id_list"].numpy()]
        with torch.no_grad():
            scores = model.full_sort_predict(interaction).view(len(histories), -1)
        answers = {
            "histories": [list(dataset.id2token("item_id", row)) for row in histories],
            "tokens": list(dataset.field2id_token["item_id"]),
            "scores": scores.tolist(),
        }
        (folder.parent / f"{name}.json").write_text(json.dumps(answers))


main(Path(sys.argv[1]))
