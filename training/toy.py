"""The text of `configs/toy.toml`: numbers in digits, and in English words.

    page 4072  ->  page four thousand and seventy-two

`python -m training.toy FOLDER` writes it. The noun is there because the translator copies a line without letters as
it is. Numbers of the test set are in neither of the others, whatever the noun.
"""

import argparse
import random
from pathlib import Path

NOUNS = ("bus", "line", "page", "room", "year")
ONES = (
    "nought", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
LIMIT = 10_000
HELD_OUT = {"dev": 200, "test": 500}


def in_words(number: int) -> str:
    """Spells a number from 0 up to, not including, 10,000, the British way.

    Example:
        >>> in_words(4072)
        'four thousand and seventy-two'
        >>> in_words(1900)
        'one thousand nine hundred'
    """
    if number < 20:
        return ONES[number]
    if number < 100:
        tens, rest = divmod(number, 10)
        return TENS[tens - 2] + (f"-{ONES[rest]}" if rest else "")
    (count, rest), unit = (divmod(number, 100), "hundred") if number < 1000 else (divmod(number, 1000), "thousand")
    words = f"{ONES[count]} {unit}"
    if not rest:
        return words
    return f"{words} and {in_words(rest)}" if rest < 100 else f"{words} {in_words(rest)}"


def make_pairs() -> dict[str, list[tuple[str, str]]]:
    """Returns the pairs of "train", "dev" and "test", always the same, each number in one of them only."""
    generator = random.Random(1)
    numbers = generator.sample(range(LIMIT), LIMIT)
    pairs: dict[str, list[tuple[str, str]]] = {}
    for name, size in {**HELD_OUT, "train": LIMIT - sum(HELD_OUT.values())}.items():
        chosen, numbers = numbers[:size], numbers[size:]
        nouns = (generator.choice(NOUNS) for _ in chosen)
        named = zip(nouns, chosen, strict=True)
        pairs[name] = [(f"{noun} {number}", f"{noun} {in_words(number)}") for noun, number in named]
    return pairs


def write_toy(folder: Path) -> None:
    """Writes train, dev and test, each as .digits and .words, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, pairs in make_pairs().items():
        for side, language in enumerate(("digits", "words")):
            text = "".join(pair[side] + "\n" for pair in pairs)
            (folder / f"{name}.{language}").write_text(text, encoding="utf-8")


def main() -> None:
    """Writes the text where the command line says."""
    parser = argparse.ArgumentParser(description="Write the text of configs/toy.toml.")
    parser.add_argument("folder", type=Path)
    write_toy(parser.parse_args().folder)


if __name__ == "__main__":
    main()
