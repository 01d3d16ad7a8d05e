"""The languages and scripts of texts.

A language is told by its most frequent short words, which is right for text of some sentences. charset-normalizer's
own detection compares frequencies of letters, and takes Italian for Slovene.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache

SAMPLE_CHARACTERS = 200_000
LEAST_SHARE = 0.02  # of the letters, of a script that is named
LEAST_WORDS = 0.12  # of all words; the short words of a language make up a fifth to a half of its prose
LEAST_LEAD = 1.3  # times as many as the next language has
LEAST_DIFFERENT = 3  # short words: one alone, such as the s of "it's", may be anything

_SHORT_WORDS = {
    "English": "the of and to in is that for it with as was on are by this be at not from",
    "German": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als",
    "French": "de la le et les des en un une du est que pour qui dans par sur pas plus au",
    "Spanish": "de la que el en y los se del las un por con una su para es al lo como",
    "Portuguese": "de a o que e do da em um para com não uma os no se na por mais as",
    "Italian": "di e il la che in un per è una non sono con del si le della da gli al",
    "Dutch": "de van een het en in is dat op te zijn met voor niet aan er om ook als door",
    "Swedish": "och i att en det som på är av för med den till inte har de om ett var jag",
    "Danish": "og i at det en den til er som på de med han af for ikke der var et har",
    "Norwegian": "og i det er som på en til av for med at har de ikke den om et var jeg",
    "Finnish": "ja on ei se että oli mutta hän joka kun niin myös ovat ole tai kuin sen mitä nyt jo",
    "Polish": "i w na z się nie do to że jest o jak po ale od za co przez są dla",
    "Czech": "a se v na je že o s z do to i k ve pro za by ale si jako",
    "Hungarian": "a az és hogy nem is egy ez meg van csak de volt ha már el még mint vagy azt",
    "Romanian": "de și în a la cu pe nu o care din să că un este mai pentru au fi se",
    "Turkish": "ve bir bu da de için ile çok daha olarak ne gibi kadar olan en o sonra ama her var",
    "Indonesian": "yang dan di dengan untuk dari ini pada tidak dalam adalah itu akan ke juga oleh ada atau bisa saya",
    "Vietnamese": "và của là có không được cho các một trong với những người này khi đã để từ như về",
    "Russian": "и в не на что я с он а как это по но к у из за от о же",
    "Ukrainian": "і в не на що я з та це як до за у від по але для є або й",
}  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+")
_SCRIPTS = {"CJK": "Chinese characters", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean"}


def find_scripts(texts: Iterable[str]) -> dict[str, float]:
    """Return the share of the letters in each script, the largest first."""
    counts = Counter(_name_script(letter) for letter in _sample(texts) if letter.isalpha())
    total = sum(counts.values())
    return {script: count / total for script, count in counts.most_common() if count >= LEAST_SHARE * total}


def find_language(texts: Iterable[str]) -> str | None:
    """Return the language of texts in Latin or Cyrillic script; None if it is not clear, or none of those known."""
    words = Counter(word.lower() for word in _WORD.findall(_sample(texts)))
    total = sum(words.values())
    counts = Counter({language: sum(words[w] for w in short.split()) for language, short in _SHORT_WORDS.items()})
    (first, most), (_, next_most) = counts.most_common(2)
    different = sum(word in words for word in _SHORT_WORDS[first].split())
    is_clear = most >= max(LEAST_WORDS * total, LEAST_LEAD * next_most) and different >= LEAST_DIFFERENT
    return first if is_clear else None


def spell_out(name: str) -> str:
    """Return the name of a language, or of a script that could be taken for one, such as "Latin script"."""
    return name if name in {*_SHORT_WORDS, *_SCRIPTS.values()} else f"{name} script"


def _sample(texts: Iterable[str]) -> str:
    parts, size = [], 0
    for text in texts:
        parts.append(text[:2000])
        size += len(parts[-1])
        if size > SAMPLE_CHARACTERS:
            break
    return "\n".join(parts)


@cache
def _name_script(letter: str) -> str:
    word = unicodedata.name(letter, "UNKNOWN").split(" ")[0].split("-")[0]
    return _SCRIPTS.get(word, word.capitalize())
