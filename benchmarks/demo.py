"""Ten everyday sentences each way through the default model, for a person to judge: `make demo`."""

import os
import sys

from translator.errors import CarouselError
from translator.inference import Translator

ENGLISH = (
    "Where is the train station?",
    "I would like a cup of coffee, please.",
    "My daughter is ill and has to stay at home today.",
    "How much does this cost?",
    "We are going to the cinema tonight.",
    "Could you please speak more slowly?",
    "I have lost my keys.",
    "The bus was late again this morning.",
    "What time does the supermarket close?",
    "Thank you very much for your help.",
)
GERMAN = (
    "Wie spät ist es?",
    "Ich habe heute keine Zeit.",
    "Können Sie mir bitte helfen?",
    "Wir haben gestern einen neuen Kühlschrank gekauft.",
    "Das Essen war sehr gut.",
    "Meine Schwester wohnt seit drei Jahren in Hamburg.",
    "Hast du schon gegessen?",
    "Der Zug nach Berlin hat zehn Minuten Verspätung.",
    "Ich muss morgen früh aufstehen.",
    "Wo kann ich hier Brot kaufen?",
)


def main() -> None:
    """Print each sentence beside its translation."""
    translator = Translator.load()
    for source, target, sentences in (("en", "de", ENGLISH), ("de", "en", GERMAN)):
        print(f"{source} → {target}")
        width = max(map(len, sentences))
        for answer in translator.translate(sentences, source=source, target=target):
            print(f"  {answer.source_text:<{width}}  {answer.text}")
        print()


if __name__ == "__main__":
    try:
        main()
    except CarouselError as error:
        raise SystemExit(str(error)) from None
    except BrokenPipeError:  # the reader has seen enough, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
