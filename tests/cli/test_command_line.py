"""The output of `hf-dynmask`, its drawings, and its errors."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from rich.cells import cell_len
from support.marked_lines import Marked, read_line

from hf_dynmask import DataCollatorForDynamicMasking, __version__, uniform_rate
from hf_dynmask.cli.main import main
from hf_dynmask.cli.token_outcomes import surface
from hf_dynmask.cli.toy_tokenizer import toy_tokenizer

TEXT = "The gardener waters unbelievable flowers, while the cat sat on a mat."


COLUMNS = re.compile(r" +\d+ +[\d.]+% +[\d.]+%  ")


def epochs_of(output: str) -> list[str]:
    """The line of each epoch."""
    return [line for line in output.splitlines() if COLUMNS.match(line)]


def tokens_of(line: str) -> list[Marked]:
    """The tokens of an epoch."""
    return read_line(COLUMNS.sub("", line, count=1))


def outcomes(line: str) -> list[tuple[str, str | None]]:
    """Each token of an epoch, and its outcome."""
    return [(token.text, token.outcome) for token in tokens_of(line)]


# -- preview ----------------------------------------------------------------------------------------------------------


def test_the_masks_are_the_collators(printed, wordpiece, tmp_path) -> None:
    wordpiece.save_pretrained(tmp_path)
    text = "they were playing with unbelievable toys while running quickly, the cat sat on a mat."
    output = printed("preview", text, "--tokenizer", tmp_path, "--rate", 0.4, "--epochs", 20, "--seed", 3)
    collator = DataCollatorForDynamicMasking(wordpiece, mlm_probability=0.4, seed=3, return_tensors="np")
    found = set()
    for epoch, line in enumerate(epochs_of(output)):
        collator.set_epoch(epoch)
        before = wordpiece(text)["input_ids"]
        batch = collator([wordpiece(text)])
        expected = []
        for id_, after, label in list(zip(before, batch["input_ids"][0], batch["labels"][0], strict=True))[1:-1]:
            changed = "mask_token" if after == wordpiece.mask_token_id else "random_token"
            outcome = None if label == -100 else "unchanged" if after == id_ else changed
            expected.append((wordpiece.convert_ids_to_tokens(id_).removeprefix("##"), outcome))
        assert outcomes(line) == expected
        found |= {outcome for _, outcome in expected}
    assert (epoch, found) == (19, {None, "mask_token", "random_token", "unchanged"})


def test_the_name_of_the_tokenizer_is_no_markup(printed, wordpiece, tmp_path) -> None:
    folder = tmp_path / ":snake:[red]"
    wordpiece.save_pretrained(folder)
    assert f"Tokenizer: {folder}.\n" in printed("preview", "they were", "--tokenizer", folder)


def test_words_are_seen_and_rates_observed(printed) -> None:
    output = printed("preview", TEXT, "--strategy", "whole_word", "--rate", 0.3, "--epochs", 50)
    for line in epochs_of(output):
        tokens = tokens_of(line)
        chosen = [token.outcome is not None for token in tokens]
        assert line.split()[1:3] == ["30.0%", f"{sum(chosen) / len(tokens):.1%}"]
        words = "".join(" " * token.begins_word + "·" * (not token.begins_word) + token.text for token in tokens)[1:]
        assert words == "The garde·ner water·s unbel·ievab·le flowe·rs , while the cat sat on a mat ."
        of_words = iter(chosen)
        assert all(len({next(of_words) for _ in word.split("·")}) == 1 for word in words.split())
    found = Counter(outcome for line in epochs_of(output) for _, outcome in outcomes(line))
    counted = found.total() - found[None]
    assert f"\n{counted} of 950 tokens masked, {counted / 950:.1%}: {found['mask_token']} mask token, " in output
    assert f", {found['random_token']} random token, {found['unchanged']} unchanged.\n" in output
    assert 0.25 < counted / 950 < 0.35


def test_unmaskable_tokens_are_shown_and_not_counted(printed) -> None:
    output = printed("preview", "[MASK] the cat [SEP] sat on [UNK] mats", "--rate", 0.4, "--epochs", 50)
    for line in epochs_of(output):
        tokens = outcomes(line)
        assert [text for text, outcome in tokens if outcome == "unmaskable"] == ["[MASK]", "[SEP]", "[UNK]"]
        masked = sum(outcome not in (None, "unmaskable") for _, outcome in tokens)
        assert line.split()[1:3] == ["40.0%", f"{masked / 5:.1%}"]
    (counted,) = re.findall(r"(\d+) of 250 maskable tokens masked", output)
    assert 80 <= int(counted) <= 120
    assert "Never masked: ⌊special or unknown token⌋\n" in output
    assert "Never masked" not in printed("preview", "the cat")


def test_a_text_without_maskable_tokens_is_shown(printed) -> None:
    assert "0 of 0 maskable tokens masked, 0.0%: 0 mask token" in printed("preview", "[MASK] [UNK]")


@pytest.mark.parametrize(
    ("text", "strategy", "hint"),
    [
        ("the cat", "whole_word", "so words are masked like tokens."),
        ("the cat", "position('block', unit='whole_word')", "so words are masked like tokens."),
        ("the cat", "span(fixed_lengths(2))", "so spans of words are spans of tokens."),
        ("the cat", "ngram", "so n-grams of words are n-grams of tokens."),
        ("我今天早上", "span(fixed_lengths(2), unit='token')", None),
        ("我今天早上", "token", None),
        ("我今天早上", "position", None),
        ("the gardener", "whole_word", None),
        ("我", "whole_word", None),
    ],
)
def test_a_hint_tells_where_words_are_tokens(printed, text, strategy, hint) -> None:
    hints = re.findall(
        r"^Every word here is a single token, (.*)$", printed("preview", text, "--strategy", strategy), re.M
    )
    assert hints == ([] if hint is None else [hint])


@pytest.mark.parametrize("text", ["我今天早上", "ฉันรัก", "the 我今天"])
@pytest.mark.parametrize(
    ("strategy", "passed"),
    [
        ("whole_word", "`strategies.whole_word(segmenter=jieba.lcut)`"),
        ("span", "`unit=strategies.whole_word(segmenter=jieba.lcut)`"),
        ("position('block', unit='whole_word')", "`unit=strategies.whole_word(segmenter=jieba.lcut)`"),
    ],
)
def test_text_without_spaces_needs_a_segmenter(printed, text, strategy, passed) -> None:
    output = printed("preview", text, "--strategy", strategy)
    assert f" For text without spaces, pass a segmenter in Python, such as {passed} for Chinese.\n" in output


def test_brackets_of_the_text_are_no_marks(printed) -> None:
    (line,) = epochs_of(
        printed(
            "preview",
            "[a] <b> {c} ⟦d⟧ e·f g\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}h",
            "--rate",
            0,
            "--epochs",
            1,
        )
    )
    assert [text for text, _ in outcomes(line)] == [*"[a]<b>{c}⟦d⟧e·fg\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}h"]


def test_short_words_are_words(printed) -> None:
    assert epochs_of(printed("preview", "the cat", "--strategy", "whole_word"))


def test_a_schedule_runs_over_the_epochs(printed) -> None:
    output = printed("preview", TEXT, "--schedule", "linear(0.4, 0.1)", "--epochs", 3)
    assert [line.split()[:2] for line in epochs_of(output)] == [["0", "40.0%"], ["1", "30.0%"], ["2", "20.0%"]]
    assert "Dynamic masking, new in every epoch; 40 % to 10 % of the tokens, linear;" in output
    # without the source of the epoch, which the command knows
    assert "; seed 0. Each epoch has the rate at its start.\n" in output


def test_a_rate_that_each_mask_draws_is_shown(printed) -> None:
    output = printed("preview", TEXT, "--rate", "uniform_rate(0.1, 0.9)", "--epochs", 9)
    asked = [float(line.split()[1].rstrip("%")) for line in epochs_of(output)]
    assert len(set(asked)) > 5
    assert all(10 <= rate <= 90 for rate in asked)
    assert "50 % of the tokens on average, each sequence draws its rate;" in output


def test_a_rate_for_each_block_is_shown_as_their_mean(printed, wordpiece, tmp_path) -> None:
    wordpiece.save_pretrained(tmp_path)
    text, rate = "they were playing with [UNK] toys on a mat", uniform_rate(0.1, 0.9, block_size=4)
    arguments = "--tokenizer", tmp_path, "--rate", "uniform_rate(0.1, 0.9, block_size=4)", "--epochs", 5, "--seed", 3
    shown = [line.split()[1] for line in epochs_of(printed("preview", text, *arguments))]
    collator = DataCollatorForDynamicMasking(wordpiece, rate, seed=3, return_tensors="np", return_mask_rate=True)
    encoded = wordpiece(text)
    is_maskable = ~np.isin(encoded["input_ids"], wordpiece.all_special_ids)
    expected = [collator([encoded], epoch=epoch)["mask_rate"][0][is_maskable].mean() for epoch in range(5)]
    assert shown == [f"{mean:.1%}" for mean in expected]
    assert len(set(shown)) == 5


@pytest.mark.parametrize(
    ("strategy", "unit"),
    [("token", "token"), ("whole_word", "word"), ("span", "span"), ("ngram", "n-gram"), ("position", "unit")],
)
def test_a_sentence_counts_the_masks_that_drew_nothing(printed, wordpiece, tmp_path, strategy, unit) -> None:
    wordpiece.save_pretrained(tmp_path)
    text, epochs = "they were playing with toys while the cat sat on a mat", 30
    arguments = "--tokenizer", tmp_path, "--strategy", strategy, "--rate", 0.05, "--epochs", epochs, "--seed", 3
    output = printed("preview", text, *arguments)
    without = DataCollatorForDynamicMasking(
        wordpiece, mlm_probability=0.05, strategy=strategy, seed=3, min_masked=0, return_tensors="np"
    )
    empty = sum((without([wordpiece(text)], epoch=epoch)["labels"] == -100).all() for epoch in range(epochs))
    assert 0 < empty < epochs
    assert all(any(outcome for _, outcome in outcomes(line)) for line in epochs_of(output))
    assert output.endswith(
        f"\nIn {empty} of {epochs} masks no {unit} was drawn, so one {unit} is masked anyway (`min_masked=1`).\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([TEXT, "--rate", 0.5], None),
        (["hello world", "--rate", 1], None),
        (["hello world", "--rate", 0], "In 4 of 4 masks no token was drawn, "),
        (["--schedule", "with_warmup(1.0, 0.1)", TEXT], "In 1 of 4 masks no token was drawn, "),
        (["[MASK]", "--rate", 0], None),  # where the minimum masks nothing either
    ],
)
def test_a_minimum_is_explained_only_where_it_decides(printed, arguments, said) -> None:
    assert re.findall(r"^In .* drawn, ", printed("preview", *arguments), re.M) == ([] if said is None else [said])


@pytest.mark.parametrize("least", [0, 2, 5, 99])
def test_a_sentence_counts_the_masks_that_drew_too_few(printed, wordpiece, tmp_path, least) -> None:
    wordpiece.save_pretrained(tmp_path)
    text, epochs = "the cat sat on a mat", 30  # one token a word
    output = printed("preview", text, "--tokenizer", tmp_path, "--epochs", epochs, "--min_masked", least)
    without = DataCollatorForDynamicMasking(wordpiece, min_masked=0, return_tensors="np")
    drawn = [(without([wordpiece(text)], epoch=epoch)["labels"] != -100).sum() for epoch in range(epochs)]
    masked = [sum(outcome is not None for _, outcome in outcomes(line)) for line in epochs_of(output)]
    assert masked == [max(number, min(least, 6)) for number in drawn]
    few = sum(number < min(least, 6) for number in drawn)
    sentence = (
        f"\nIn {few} of {epochs} masks fewer than {least} tokens were drawn, so more are masked, up to that number "
        f"(`min_masked={least}`).\n"
    )
    assert output.count("`min_masked") == output.count(sentence) == (least > 0)


@pytest.mark.parametrize(
    ("arguments", "equal"),
    [
        (["cat", "--num_mask_patterns", 9, "--epochs", 9], 1),
        (["cat", "--num_mask_patterns", 9, "--epochs", 1], 0),
        (["cat", "--num_mask_patterns", 1], 0),  # a single mask is meant to stay
        (["cat", "--epochs", 9], 0),
        ([TEXT, "--num_mask_patterns", 2, "--rate", 0.5, "--epochs", 8], 0),
    ],
)
def test_equal_masks_that_take_turns_are_explained(printed, arguments, equal) -> None:
    sentence = "Masks that take turns are drawn independently, so some may be equal: here, in 1 of 1 texts.\n"
    assert printed("preview", *arguments).count(sentence) == equal


@pytest.mark.parametrize(
    ("strategy", "units"),
    [("token", ["unbel", "ievab", "le", "flowe", "rs"]), ("whole_word", ["unbelievable", "flowers"])],
)
def test_at_a_rate_of_0_one_unit_is_masked(printed, strategy, units) -> None:
    output = printed("preview", "unbelievable flowers", "--rate", 0, "--strategy", strategy, "--epochs", 30)
    masked = ["".join(text for text, outcome in outcomes(line) if outcome) for line in epochs_of(output)]
    assert set(masked) == set(units)


def test_the_legend_is_that_of_all_epochs(printed, tmp_path) -> None:
    """A token that contains a mark may be shown only in a later epoch, where it replaces another."""
    toy_tokenizer(["cat dog ·"]).save_pretrained(tmp_path)
    arguments = "preview", "cat dog", "--tokenizer", tmp_path, "--rate", 1, "--epochs"
    first, all_ = printed(*arguments, 1), printed(*arguments, 99)
    assert "\\·" not in first
    assert "\\·" in all_
    sentence = "A backslash precedes these marks where a token contains them, or begins a code.\n"
    assert [sentence in output for output in (first, all_)] == [False, True]


def test_static_masks_stay(printed) -> None:
    output = printed("preview", TEXT, "--num_mask_patterns", 1, "--epochs", 5)
    assert len({tuple(outcomes(line)) for line in epochs_of(output)}) == 1


def test_lines_come_from_a_file_or_standard_input(printed, tmp_path, monkeypatch) -> None:
    (tmp_path / "corpus.txt").write_text("\ufeffthe cat\n\n  the dog  \nthe mat\n", encoding="utf-8")
    output = printed("preview", "--file", tmp_path / "corpus.txt", "--epochs", 1, "--max_texts", 2)
    assert [[token for token, _ in outcomes(line)] for line in epochs_of(output)] == [["the", "cat"], ["the", "dog"]]
    assert " Only the first 2 lines are shown: see --max_texts.\n" in output
    monkeypatch.setattr(sys, "stdin", io.StringIO("the cat\nthe dog\nthe mat\n"))
    output = printed("preview", "--epochs", 1)
    assert len(epochs_of(output)) == 3
    assert "are shown" not in output


def test_a_text_that_names_a_file_may_be_a_slip(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("the cat", encoding="utf-8")
    for text, hinted in (("notes.txt", True), ("nosuch.txt", False), ("long " * 1_000, False)):
        main(["preview", text, "--epochs", "1"])
        output, error = capsys.readouterr()
        assert len(epochs_of(output)) == 1
        assert ("Did you mean `--file notes.txt`?" in error) is hinted
        assert error.count("\n") == hinted


def test_an_epoch_hangs_under_its_column_in_a_terminal(printed, monkeypatch) -> None:
    (whole,) = epochs_of(printed("preview", TEXT, "--epochs", 1))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    output = re.sub("\x1b[^m]*m", "", printed("preview", TEXT, "--epochs", 1))
    start = next(place for place, line in enumerate(output.splitlines()) if epochs_of(line))
    lines = output.splitlines()[start : output.splitlines().index("", start)]
    assert len(lines) > 1
    assert all(line.startswith(" " * 24) for line in lines[1:])
    assert " ".join([lines[0].rstrip(), *map(str.strip, lines[1:])]) == whole
    assert all(len(line) <= 60 for line in output.splitlines())


@pytest.mark.parametrize("text", [TEXT, "我今天早上和朋友一起去公园散步然后在湖边喝茶聊天看书", "[MASK] " * 9])
@pytest.mark.parametrize("width", [40, 80, 120])
def test_lines_fit_the_terminal(printed, monkeypatch, text, width) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    output = re.sub("\x1b[^m]*m", "", printed("preview", text, "--epochs", 2, "--rate", 0.5))
    assert max(cell_len(line.rstrip()) for line in output.splitlines()) <= width


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_other_encodings_have_other_marks(encoding) -> None:
    text = "[the] café 我"
    command = [sys.executable, "-m", "hf_dynmask.cli", "preview", text, "--epochs", "8", "--rate", "0.5"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    output = subprocess.run(command, env=environment, capture_output=True, check=True).stdout.decode(encoding)
    lines = [read_line(COLUMNS.sub("", line), "ascii") for line in epochs_of(output)]
    assert [[token.text for token in line] for line in lines] == [["[", "the", "]", "café", "我"]] * 8
    assert {token.outcome for line in lines for token in line} >= {None, "mask_token"}
    assert "Masked, to be predicted: [mask token]  [original>random token]  <unchanged>\n" in output


def test_a_text_steers_no_terminal(printed) -> None:
    output = printed("preview", "cat \x1b[31m [bold]dog[/bold] \u202e", "--epochs", 1, "--rate", 0)
    assert "\x1b" not in output
    assert "\u202e" not in output
    assert output.count("bold") == 2


@pytest.mark.parametrize("colors", [True, False])
def test_colors_are_for_terminals(colors) -> None:
    command = [sys.executable, "-m", "hf_dynmask.cli", "preview", TEXT, "--rate", "0.5"]
    environment = {**os.environ, "TERM": "xterm-256color", **({"FORCE_COLOR": "1"} if colors else {})}
    environment.pop("NO_COLOR", None)
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ("\x1b[1;31m" in output.stdout) is colors
    assert not output.stderr


def test_the_version(capsys) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"hf-dynmask {__version__}\n"


# -- schedule ---------------------------------------------------------------------------------------------------------


def test_the_course_of_a_schedule(printed, tmp_path) -> None:
    curve = tmp_path / ":snake:.png"  # is not to become a picture of one
    output = printed("schedule", "linear(0.3, 0.1)", "--steps", 10_000, "--out", curve)
    assert output.endswith(f"Curve written to {curve}.\n")
    rows = [line.split()[:2] for line in output.splitlines()[1:-1]]
    assert rows[0] == ["0", "30.00%"]
    assert rows[5] == ["5,000", "20.00%"]
    assert rows[-1] == ["9,999", "10.00%"]
    assert curve.read_bytes().startswith(b"\x89PNG")


def test_a_training_of_one_step_has_a_course(printed) -> None:
    assert len(printed("schedule", "0.2", "--steps", 1).splitlines()) == 2


# -- tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["wordpiece", "byte_level", "metaspace", "chinese"])
def test_a_token_is_shown_without_marks(request, family) -> None:
    tokenizer = request.getfixturevalue(family)
    text = "我今天早上" if family == "chinese" else "the cat sat on a mat"
    shown = [surface(tokenizer, id_) for id_ in tokenizer(text, add_special_tokens=False)["input_ids"]]
    assert "".join(each for each in shown if each not in "Ġ▁").replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    "text", [TEXT, "Pneumonoultramicroscopicsilicovolcanoconiosis", "naïve café", "我今天早上", "🙂 ok"]
)
def test_the_toy_knows_its_text(text) -> None:
    tokenizer = toy_tokenizer([text])
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert all(len(surface(tokenizer, id_)) <= 5 for id_ in ids)
