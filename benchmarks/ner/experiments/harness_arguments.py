"""The arguments of the harness. Nothing heavy is imported, so that `--help` and wrong arguments come at once."""

from dataclasses import MISSING, dataclass, field, fields

from benchmarks.ner.data.corpus_name import corpus_name


@dataclass
class HarnessArguments:
    """The arguments of a comparison: the arms and seeds, the data, and how long each arm trains."""

    arms: list[str] = field(
        default_factory=lambda: ["static", "dynamic"],
        metadata={"help": "Names of arms, separated by spaces. The end of this help lists them."},
    )
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2], metadata={"help": "Every arm runs with each seed."})
    dataset: str = field(default="embedded", metadata={"help": "'embedded', a dataset on the Hub, or a local folder."})
    train_file: str | None = field(default=None, metadata={"help": "CoNLL columns, JSON lines or Parquet."})
    validation_file: str | None = field(default=None, metadata={"help": "See train_file."})
    test_file: str | None = field(default=None, metadata={"help": "See train_file."})
    dataset_name: str | None = field(
        default=None,
        metadata={"help": "Name of the files in tables and results. The default is that of train_file or its folder."},
    )
    word_column: str | None = field(
        default=None,
        metadata={
            "help": "Column of the words: its number from 1 in column files, where the default is the first; its name "
            "in JSON lines, in Parquet and on the Hub. This and the following four hold for all files."
        },
    )
    tag_column: str | None = field(
        default=None, metadata={"help": "Column of the tags; the default in column files is the last."}
    )
    word_pattern: str | None = field(
        default=None,
        metadata={
            "help": "Regular expression of words, whose group is kept, such as 'de:(.+)' for de:Wort in WikiANN."
        },
    )
    tag_scheme: str = field(
        default="iob2", metadata={"help": "Scheme of the tags: iob2, iob1, or bioes, which includes BILOU and BMES."}
    )
    encoding: str = field(default="utf-8", metadata={"help": "Encoding of text files, such as latin-1 or gb18030."})
    mlm_train_file: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Text of pre-training: files like train_file, or parts of their documents, such as "
            "'train.txt[:75%%]'. The default is the training split."
        },
    )
    split_seed: int = field(default=0, metadata={"help": "Determines which documents such a part has."})
    model: str = field(default="tiny", metadata={"help": "'tiny', or a name or path for AutoModel."})
    base: str | None = field(
        default=None, metadata={"help": "Begin with this checkpoint, which a cell made with --save_model."}
    )
    save_model: bool = field(default=False, metadata={"help": "Save the checkpoint of each cell in output_dir/models."})
    mlm_epochs: float = field(default=30.0, metadata={"help": "Epochs of pre-training."})
    mlm_learning_rate: float = field(
        default=1e-3,
        metadata={
            "help": "Peak learning rate; decays linearly to 0. Lower it for pre-trained models, such as to 1e-4."
        },
    )
    mlm_batch_size: int = field(default=16, metadata={"help": "Blocks per step, over all processes."})
    mlm_block_size: int = field(default=128, metadata={"help": "Tokens per block."})
    ner_epochs: float = field(default=6.0, metadata={"help": "Epochs of fine-tuning."})
    ner_learning_rate: float = field(
        default=1e-3,
        metadata={
            "help": "Peak learning rate; decays linearly to 0. Lower it for pre-trained models, such as to 5e-5."
        },
    )
    ner_batch_size: int = field(default=32, metadata={"help": "Sentences per step, over all processes."})
    ner_max_length: int = field(
        default=128, metadata={"help": "Tokens per window; longer sentences have several windows."}
    )
    mlm_evaluation_masks: int = field(
        default=5, metadata={"help": "Fixed masks per example that the final MLM loss averages."}
    )
    fine_tunings: int = field(
        default=1, metadata={"help": "Fine-tunings of each pre-trained model, with seeds of their own; 0 for none."}
    )
    warmup_ratio: float = field(default=0.06, metadata={"help": "Fraction of warmup steps, in both stages."})
    weight_decay: float = field(default=0.01, metadata={"help": "Weight decay of AdamW, in both stages."})
    dataloader_num_workers: int = field(default=0, metadata={"help": "Data loader workers per process."})
    dataloader_persistent_workers: bool = field(default=False, metadata={"help": "Keep workers between epochs."})
    tf32: bool = field(default=False, metadata={"help": "Use TF32 for float32 matrix products on a GPU."})
    output_dir: str = field(default="runs", metadata={"help": "Folder of the results, one JSON file per run."})
    report_to: list[str] = field(default_factory=list, metadata={"help": "Trackers of Trainer, such as tensorboard."})
    study: str | None = field(default=None, metadata={"help": "The registered study that the cells belong to."})
    own_machine: bool = field(
        default=False, metadata={"help": "Nothing else runs on the machine, so seconds can be compared."}
    )
    retry_failed: bool = field(default=False, metadata={"help": "Run failed cells again."})


def to_command_line(arguments: HarnessArguments) -> list[str]:
    """Returns the command line of these arguments, without those that have their default values."""
    words = []
    for argument in fields(arguments):
        value = getattr(arguments, argument.name)
        default = argument.default if argument.default_factory is MISSING else argument.default_factory()
        if value != default:
            words += [f"--{argument.name}", *map(str, value if isinstance(value, list) else [value])]
    return words


def dataset_name(arguments: HarnessArguments) -> str:
    """Returns the name of the dataset in tables and results; files have the name in the path of `train_file`."""
    if arguments.dataset_name:
        return arguments.dataset_name
    return corpus_name(arguments.train_file) if arguments.train_file is not None else arguments.dataset
