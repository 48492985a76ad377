"""Small tokenizers of three families, made here: no test needs a network; and how hard guarantees are tested."""

from __future__ import annotations

import copy
import multiprocessing
import os
import signal
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"  # loaders' workers are forked from processes that have tokenized

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from support.trained import train
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

# Python 3.14 starts workers from a fork server. It imports these modules once, and not again in each worker.
multiprocessing.set_forkserver_preload(["transformers.trainer", "hf_dynmask"])

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "and",
    "dog",
    "ran",
    "to",
    "house",
    "they",
    "were",
    "playing",
    "with",
    "unbelievable",
    "toys",
    "while",
    "running",
    "quickly",
    "through",
    "gardens",
    "full",
    "of",
    "flowers",
    "because",
    "summer",
    "had",
    "come",
    "early",
    "this",
    "year",
]
PIECES = ["##s", "##ing", "##ly", "##able", "un", "##believ", "play", "run", "##n", "flower", "quick", ",", ".", "!"]

TEXTS = [" ".join(WORDS), "hello, world! it is 1234 o'clock"] * 4

SENTENCE = "我今天早上和朋友一起去公园散步然后在湖边喝茶聊天看书"  # 26 characters

FIGURES = pytest.StashKey[list[tuple[str, str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="also run the tests that are marked as extended")
    parser.addoption("--stress", action="store_true", help="test guarantees at full size, for an hour")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what tests a promise in further combinations, unless it is asked for."""
    if not config.getoption("--all") and not config.getoption("--stress"):
        extended = [item for item in items if item.get_closest_marker("extended")]
        if extended:
            config.hook.pytest_deselected(items=extended)
            items[:] = [item for item in items if not item.get_closest_marker("extended")]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    figures = config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("guarantees" + (" at full size" if config.getoption("--stress") else ""))
    for promise, figure in figures:
        terminalreporter.write_line(f"{promise}: {figure}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands its figures to the process that prints them."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["figures"] = session.config.stash.get(FIGURES, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash.setdefault(FIGURES, []).extend(map(tuple, getattr(node, "workeroutput", {}).get("figures", [])))


@pytest.fixture(scope="session")
def stress(request: pytest.FixtureRequest) -> bool:
    """Whether guarantees are tested at full size; otherwise at a size that takes seconds."""
    return request.config.getoption("--stress")


@pytest.fixture(scope="session")
def report_figure(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Called by tests of guarantees: `report_figure("draws", "1,000,000")` is printed when all tests are done."""
    figures = request.config.stash.setdefault(FIGURES, [])
    return lambda promise, figure: figures.append((promise, figure))


@pytest.fixture(autouse=True)
def no_loader_in_progress() -> None:
    """Forgets the passes that earlier tests did not finish, which accelerate counts for as long as a loader lives."""
    state = sys.modules.get("accelerate.state")
    if state is not None and state.GradientState._shared_state:
        state.GradientState().dataloader_references = [None]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Threads cost more than they give where a model is tiny."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def signal_handlers() -> Iterator[None]:
    """As they were, after each test: a sweep takes the signals over."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _special_tokens(names: dict[str, str]) -> dict[str, str]:
    return {f"{role}_token": token for role, token in names.items()}


@pytest.fixture(scope="session")
def wordpiece() -> PreTrainedTokenizerFast:
    """BERT's layout: [CLS] ... [SEP], `##` continues a word."""
    special = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    tokens = [*special.values(), *dict.fromkeys([*WORDS, *PIECES])]
    vocabulary = {token: id_ for id_, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],  # the default differs between transformers 4 and 5
        **_special_tokens(special),
    )


@pytest.fixture(scope="session")
def with_sentinels(wordpiece) -> PreTrainedTokenizerFast:
    """The same with T5's sentinels, so that it serves every collator."""
    tokenizer = copy.deepcopy(wordpiece)
    tokenizer.add_tokens([AddedToken(f"<extra_id_{i}>", special=True) for i in range(10)], special_tokens=True)
    return tokenizer


@pytest.fixture(scope="session")
def byte_level() -> PreTrainedTokenizerFast:
    """RoBERTa's layout: <s> ... </s>, `Ġ` begins a word."""
    special = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    train(tokenizer, TEXTS, trainers.BpeTrainer, special.values(), vocab_size=330, initial_alphabet=alphabet)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=True)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token="<s>", sep_token="</s>", **_special_tokens(special)
    )


@pytest.fixture(scope="session")
def metaspace() -> PreTrainedTokenizerFast:
    """SentencePiece's layout: `▁` begins a word."""
    special = {"pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    train(tokenizer, TEXTS, trainers.UnigramTrainer, special.values(), vocab_size=90, unk_token="<unk>")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **_special_tokens(special))


@pytest.fixture(scope="session")
def chinese() -> PreTrainedTokenizerFast:
    """BERT's layout, each character a token."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    ids = {token: id_ for id_, token in enumerate([*special, *dict.fromkeys(SENTENCE), "##s"])}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    roles = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **dict(zip(roles, special, strict=True)))
