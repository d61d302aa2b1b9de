"""Foreign words in quotes, which a translation leaves as they are.

A model that has met quotes around its own two languages only translates whatever stands in them, or garbles what it
cannot. Here what is quoted, or a name, becomes on both sides the same few words: of a third language, or of the
target's, in which there is nothing to translate. Words come from the lists below, and from the corpora of the run that
speak such a language, whose variety no list has.
"""

import random
import re
from collections.abc import Iterable, Mapping, Sequence

from training.copying import Pair, names_of
from training.names import another_name
from translator.text import words

FOREIGN_WORDS = {
    "de": "abend berg brot durst ecke fenster freude geduld glück heimat herbst himmel kindergarten kuchen leise "
    "mond nacht regen schnee sonne stille straße traum über vogel wald wasser weg wolke zeit zucker schon nicht heute",
    "fr": "amitié arbre beurre bientôt bonne chance chaleur ciel demain doucement encore église fleur forêt frère "
    "gâteau hiver joie lumière merci neige nuit oiseau pomme quand rêve route soleil sœur toujours voyage deux et",
    "es": "abuela agua alma amigo arroz azul barrio bueno calle camino cielo corazón domingo fiesta fuego gracias "
    "hermano hoy jamón jardín lluvia luna madre mujer niño noche pueblo queso señor silencio tierra vamos verano y",
    "en": "again apple birthday bread butter cloud dream evening forest garden happy journey kitchen letter light "
    "morning mountain never night ocean quiet rain river silver snow summer thank today window winter wonder",
    "it": "acqua allegro amico bene buongiorno casa domani dolce felice forza giorno grazie insieme isola lontano luce "
    "mamma mare mattina mezzo nonna oggi pane piano piccolo prego ragazza sera sole strada tempo tutti vino zio",
    "pt": "abraço alegria amanhã bairro boa cedo cidade coração obrigado festa filha janela longe manhã menino mesa "
    "nunca ontem pão praia rua saudade sempre sonho tarde você vento",
    "pl": "babcia chleb deszcz dobry dziękuję jutro kawa kot ludzie łóżko miasto miłość morze mleko noc pies "
    "przyjaciel rzeka słońce szczęście śnieg wieczór zima źródło",
    "nl": "aardappel altijd bedankt boterham dochter fiets gezellig goed huis jongen kaas lekker meisje morgen nieuw "
    "ochtend school straat tuin vandaag vriend vrijheid water winkel zee",
    "sv": "björn fågel glad granne hej hjärta kanelbulle lagom landskap människa måne nästan resa sjö skog snö sommar "
    "tack vän vinter älskar öga",
    "tr": "arkadaş bahçe bugün çay çocuk deniz ekmek gece güneş güzel hayat kahve kitap merhaba okul sokak şeker "
    "teşekkür yağmur",
    "ja": "arigatō asa hana haru hashi inu kaze ki kokoro konnichiwa mizu mori neko niwa sakura sora tabi tomodachi "
    "tsuki umi yama yoru yuki",
    "la": "amicus annus aqua carpe cogito dies ergo fortuna gloria homo ignis liber lux magnus mater mundus nomen pax "
    "populus quo rosa semper silva tempus terra vadis veritas vita",
    "el": "efcharisto filos ilios kalinichta kafes nero parea spiti thalassa yia sou",
}  # fmt: skip
COUNTS = (1, 1, 1, 2, 2, 3)  # of words in a quotation from a list
LIST_PHRASES = 300  # a list
CORPUS_PHRASES, LONGEST_PHRASE = 5000, 3  # a language; words
_QUOTATION = re.compile(r"[\"“„«»”]([^\"“„«»”]+?)[,.!?…\s]*[\"“„«»”]")  # marks at its end stay
_PHRASE = re.compile(r"[¡¿]?([^\W\d_][^\"“„«»¡¿.!?…;:/()]*?[^\W\d_])\s?[.!?]?")

Phrases = Sequence[Sequence[str]]


def short_phrases(texts: Iterable[str]) -> list[str]:
    """Returns what of the texts may be quoted: of at most three words, without its marks; some thousands, each once.

    Example:
        >>> short_phrases(["Danke schön!", "Wo ist Anna, und wo ist Tom?", "Danke schön."])
        ['Danke schön']
    """
    matches = (_PHRASE.fullmatch(text) for text in texts)
    found = sorted({match[1] for match in matches if match and len(match[1].split()) <= LONGEST_PHRASE})
    return random.Random(0).sample(found, min(len(found), CORPUS_PHRASES))


def foreign_phrases(source: str, target: str, corpora: Mapping[str, Sequence[str]] | None = None) -> list[Phrases]:
    """Returns what may be quoted: of lists, those of neither language; of corpora, those that are not the source's.

    Args:
        source: Language of the text that quotes.
        target: Language of its translation.
        corpora: `short_phrases` by language.

    Returns:
        Groups of lists; a phrase is drawn from any group as often, and in it from any list.
    """
    chance = random.Random(0)
    lists = [
        [" ".join(chance.sample(known, chance.choice(COUNTS))) for _ in range(LIST_PHRASES)]
        for language, text in FOREIGN_WORDS.items()
        if language not in (source, target) and (known := text.split())
    ]
    spoken = [phrases for language, phrases in sorted((corpora or {}).items()) if language != source and phrases]
    return [lists, spoken] if spoken else [lists]


def quoted(pair: Pair, chance: random.Random, phrases: Sequence[Phrases]) -> Pair:
    """Puts the same words in quotes on both sides: where each has one quotation, or the one name they share.

    Example:
        >>> quoted(("Es heißt Anna.", "It is called Anna."), random.Random(0), [[["casa"]]])
        ('Es heißt "Casa".', 'It is called "Casa".')
    """
    quotations = [list(_QUOTATION.finditer(side)) for side in pair]
    if all(len(found) == 1 and found[0][1].strip() for found in quotations):
        spans = [found[0].span(1) for found in quotations]
        phrase = _phrase(chance, phrases)
    elif any(quotations):
        return pair
    else:
        shared = names_of(pair[0]) & names_of(pair[1])
        if len(shared) != 1:
            return pair
        name = shared.pop()
        spans = [next(span for span in words(side) if side[slice(*span)] == name) for side in pair]
        phrase = f'"{_phrase(chance, phrases)}"'
    source, target = (side[:start] + phrase + side[end:] for side, (start, end) in zip(pair, spans, strict=True))
    return source, target


def _phrase(chance: random.Random, phrases: Sequence[Phrases]) -> str:
    if chance.random() < 0.15:
        said = another_name(chance).lower()
    else:
        said = chance.choice(chance.choice(chance.choice(phrases)))
    return chance.choice((said, said, said[:1].upper() + said[1:], said.title()))
