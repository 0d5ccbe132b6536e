"""Variants of a text that mean the same: typing errors, other scripts, other words.

Each is a function of the text and a source of chance; the same seed gives the same variant. One
applies only where it changes the text: a query in English has no pinyin.
"""

import random
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from xmodal.catalog.language import is_chinese
from xmodal.catalog.lexicon import Lexicon, Mention

if TYPE_CHECKING:
    from opencc import OpenCC

TextVariant = Callable[[str, random.Random], str]

_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)} | {0x20: 0x3000}
_WORD = re.compile(r"[A-Za-z]{4,}")  # a shorter word with an error is another word


def text_variants(lexicon: Lexicon) -> Mapping[str, TextVariant]:
    """All variants by name. `lexicon`: the words that synonyms and mixed languages draw on."""
    return {
        "one typo": lambda text, rng: typos(text, rng, 1),
        "three typos": lambda text, rng: typos(text, rng, 3),
        "missing spaces": lambda text, _: "".join(text.split()),
        "other case": lambda text, _: text.lower() if text.isupper() else text.upper(),
        "synonyms": lambda text, rng: synonyms(text, rng, lexicon),
        "full width": lambda text, _: text.translate(_FULL_WIDTH),
        "other script": lambda text, _: other_script(text),
        "pinyin": lambda text, _: pinyin(text),
        "mixed languages": lambda text, rng: mixed_languages(text, rng, lexicon),
    }


def vary(text: str, name: str, seed: int, variants: Mapping[str, TextVariant]) -> str | None:
    """The variant of that name; None where it leaves the text as it is."""
    rng = random.Random(f"{seed}:{name}:{text}")
    varied = variants[name](text, rng)
    return None if varied == text else varied


def typos(text: str, rng: random.Random, errors: int) -> str:
    """The text with up to `errors` typing errors, no two in one word.

    In Latin words of four letters and more: a neighbour's key, two letters swapped, one left out
    or doubled. In Chinese: another character of the same sound, as input methods offer it.
    """
    places = [(match.start(), match.end()) for match in _WORD.finditer(text)]
    places += [(i, i + 1) for i, char in enumerate(text) if _homophones(char)]
    for start, end in sorted(rng.sample(places, min(errors, len(places))), reverse=True):
        word = text[start:end]
        wrong = rng.choice(_homophones(word)) if end - start == 1 else _mistyped(word, rng)
        text = text[:start] + wrong + text[end:]
    return text


def synonyms(text: str, rng: random.Random, lexicon: Lexicon) -> str:
    """The text with every word that has others of its meaning replaced by one of them."""
    for mention in reversed(lexicon.find(text)):
        said = text[mention.start : mention.end]
        word = mention.concept.word
        is_zh = any(map(is_chinese, said))
        bare = " ".join(said[: len(said) - len(mention.suffix)].casefold().split())
        names = word.zh if is_zh else word.en
        # A single character stands only inside a compound that it would break.
        others = [n for n in names if n.casefold() != bare and not (is_zh and len(n) == 1)]
        if others:
            other = rng.choice(others)
            text = _put(text, mention, other if is_zh else _inflected(other, said, mention.suffix))
    return text


def other_script(text: str) -> str:
    """Simplified Chinese in traditional characters, traditional Chinese in simplified ones."""
    if not any(map(is_chinese, text)):
        return text
    traditional = _converter("s2t").convert(text)
    return traditional if traditional != text else str(_converter("t2s").convert(text))


def pinyin(text: str) -> str:
    """Chinese characters as their sounds, without tones, a space between; the rest as it is."""
    if not any(map(is_chinese, text)):
        return text
    from pypinyin import lazy_pinyin  # a second of dictionaries: only where Chinese is met

    return " ".join(" ".join(lazy_pinyin(text)).split())


def mixed_languages(text: str, rng: random.Random, lexicon: Lexicon) -> str:
    """The text with some of its known words in the other language: `nike 跑鞋 男`.

    Each by a coin's fall, one at least; all of them only where there is just one.
    """
    known = [m for m in lexicon.find(text) if m.concept.word.zh and m.concept.word.en]
    if not known:
        return text
    count = rng.randint(1, max(1, len(known) - 1))
    chosen = rng.sample(range(len(known)), count)
    for place in sorted(chosen, reverse=True):
        mention = known[place]
        word = mention.concept.word
        is_zh = any(map(is_chinese, text[mention.start : mention.end]))
        text = _put(text, mention, f" {word.en[0] if is_zh else word.zh[0]} ")
    return " ".join(text.split())


def _put(text: str, mention: Mention, other: str) -> str:
    return text[: mention.start] + other + text[mention.end :]


def _inflected(other: str, said: str, suffix: str) -> str:
    """`other` with the case and the ending of what was said."""
    if suffix and not other.endswith("s"):
        other += "s" if suffix.isalpha() else suffix
    if said.isupper():
        return other.upper()
    return other[:1].upper() + other[1:] if said[:1].isupper() else other


def _mistyped(word: str, rng: random.Random) -> str:
    """A word with one error past its first letter, which people rarely miss."""
    i = rng.randrange(1, len(word) - 1)
    kind = rng.choice(("neighbour", "swapped", "left out", "doubled"))
    if kind == "swapped" and word[i] != word[i + 1]:
        return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    if kind == "left out":
        return word[:i] + word[i + 1 :]
    if kind == "doubled":
        return word[:i] + word[i] + word[i:]
    near = rng.choice(_neighbours(word[i].lower()))
    return word[:i] + (near.upper() if word[i].isupper() else near) + word[i + 1 :]


def _neighbours(letter: str) -> str:
    """The keys left and right of a letter's, on a QWERTY keyboard."""
    row = next(row for row in _KEYS if letter in row)
    place = row.index(letter)
    return row[max(0, place - 1) : place] + row[place + 1 : place + 2]


def _homophones(char: str) -> str:
    """Other common characters of the same sound; "" for what is no Han character."""
    if not is_chinese(char):
        return ""
    by_sound, sound_of = _sounds()
    return by_sound.get(sound_of.get(char, ""), "").replace(char, "")


@lru_cache(maxsize=1)
def _sounds() -> tuple[dict[str, str], dict[str, str]]:
    """The 3,755 characters of GB 2312's first level, by sound without tone; and back."""
    from pypinyin import lazy_pinyin

    codes = range(0xB0A1, 0xD7FA)
    pairs = (code.to_bytes(2) for code in codes if 0xA1 <= code & 0xFF <= 0xFE)
    by_sound: dict[str, str] = defaultdict(str)
    sound_of: dict[str, str] = {}
    for char in (pair.decode("gb2312") for pair in pairs):
        sound_of[char] = lazy_pinyin(char)[0]
        by_sound[sound_of[char]] += char
    return dict(by_sound), sound_of


@lru_cache(maxsize=2)
def _converter(config: str) -> "OpenCC":
    from opencc import OpenCC  # reads its dictionaries: only where Chinese is met

    return OpenCC(config)
