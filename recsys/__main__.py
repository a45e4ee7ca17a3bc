"""The dispatcher: a verb and its command, imported only when it is called."""

import os
import signal
import sys
from importlib import import_module

from recsys.errors import InputError, did_you_mean

# Threads that spin while they wait make a step thirty times slower as soon as anything else runs on the machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

VERBS = {
    "demo": "synthetic Qilin, three models, tested, compared and recommending: minutes on a laptop",
    "synthesize": "write a synthetic Qilin in the real parquet schema, small or of full size",
    "check": "tell whether a folder holds the Qilin that we know, before anything is converted",
    "convert": "turn Qilin, or RecBole's ml-100k, into atomic files",
    "convert-tables": "turn your own clicks and searches, CSV or Parquet, into atomic files",
    "fit": "train a model: recsys fit --config zoo_configs/sasrec_qilin.yaml",
    "validate": "evaluate a trained model on the validation split",
    "test": "evaluate a trained model on the test split, request by request",
    "predict": "write the recommendations for every test request",
    "sweep": "search settings: Optuna proposes, recsys fit tries, validation decides",
    "compare": "runs side by side, with intervals",
    "report": "runs on one page to read, keep and print: curves, intervals, slices, settings",
    "reproduce": "run a row of the leaderboard again and say whether it agrees",
    "ablate": "whether searches help, proven or refuted: controls, leaks, a verdict",
    "models": "the checkpoints that can be used by name",
    "download": "fetch a checkpoint, from the zoo, the Hugging Face Hub, wandb or the web, and verify it",
    "export": "make a checkpoint of a .ckpt file, or a graph of it, for ONNX Runtime or torch.export",
    "publish": "upload a checkpoint to the Hugging Face Hub or to wandb",
    "recommend": "recommend for a list of item ids, from a checkpoint alone",
    "serve": "answer over HTTP, with a page to try it on",
    "import-recbole": "turn a checkpoint of RecBole's into one of ours, without running anything in it",
    "doctor": "versions, devices, threads, what is missing",
}


def main(argv: list[str] | None = None) -> int:
    """Run one verb; 0 on success, 2 on bad input."""
    args = sys.argv[1:] if argv is None else argv
    if not args or args[0] in ("-h", "--help"):
        print(overview())
        return 0
    verb, rest = args[0], args[1:]
    if verb in ("-V", "--version"):
        print(import_module("recsys").__version__)
        return 0
    try:
        if verb not in VERBS:
            raise InputError(f"no verb {verb!r}.{did_you_mean(verb, VERBS)}")
        if argv is None:  # a command that is told to end cleans up as one that is interrupted does
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        import_module(f"recsys.commands.{verb.replace('-', '_')}").main(rest)
    except InputError as error:
        print(f"recsys: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `recsys … | head`
        sys.stderr.close()
    except KeyboardInterrupt:
        print("recsys: interrupted", file=sys.stderr)
        return 130
    return 0


def overview() -> str:
    """What `recsys --help` prints."""
    verbs = "\n".join(f"  {name:<16}{text}" for name, text in VERBS.items())
    return f"usage: recsys VERB [--help] ...\n\nSequential recommenders with search histories.\n\n{verbs}"


if __name__ == "__main__":
    sys.exit(main())
