"""The arguments of a sweep. Nothing heavy is imported, so that `--help` and wrong arguments are answered at once."""

from dataclasses import dataclass, field

PROGRAM = "python -m benchmarks.ner.sweep"


@dataclass
class SweepArguments:
    """The output folder of a sweep, and the machines that run it."""

    output_dir: str = field(default="runs", metadata={"help": "Folder of the results, one JSON file per cell."})
    dry_run: bool = field(default=False, metadata={"help": "Print the action for each cell and do nothing."})
    num_machines: int = field(default=1, metadata={"help": "Machines that run each cell together."})
    machine_rank: int = field(default=0, metadata={"help": "Index of this machine; machine 0 writes the results."})
    main_process_ip: str = field(default="127.0.0.1", metadata={"help": "The address of machine 0."})
    main_process_port: int = field(
        default=29500, metadata={"help": "First port of machine 0; each cell uses the next one."}
    )
    own_machine: bool = field(
        default=False, metadata={"help": "Nothing else runs on the machine, so seconds can be compared."}
    )
    num_shards: int = field(default=1, metadata={"help": "Sweeps that share the cells, side by side."})
    shard: int = field(default=0, metadata={"help": "Index of this sweep; it runs every num_shards-th seed, or base."})


def check_sweep(arguments: SweepArguments) -> None:
    """Raises `ValueError` for a machine or a shard that cannot exist."""
    for name, number, of, count in (
        ("machine_rank", arguments.machine_rank, "num_machines", arguments.num_machines),
        ("shard", arguments.shard, "num_shards", arguments.num_shards),
    ):
        if count < 1:
            raise ValueError(f"`{of}` must be an integer >= 1, but got {count}. Change it.")
        if not 0 <= number < count:
            raise ValueError(f"`{name}` must be from 0 to {of} - 1 = {count - 1}, but got {number}. Count from 0.")
