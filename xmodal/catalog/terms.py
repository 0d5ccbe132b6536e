"""Words for colours, genders and seasons in English and Chinese: what a line of text states.

A shop's own glossary is for writing captions; these are for reading queries and attribute values,
whatever the shop calls its attributes.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

Terms = Mapping[str, tuple[str, ...]]  # a value's plain name to the words that state it

COLOURS: Terms = {
    "red": ("red", "scarlet", "crimson", "红色", "大红", "红"),
    "maroon": ("maroon", "burgundy", "wine red", "酒红色", "酒红", "枣红色", "枣红", "褐红色"),
    "pink": ("pink", "rose", "magenta", "粉红色", "粉红", "粉色", "玫红色", "玫红", "玫瑰色", "粉"),
    "peach": ("peach", "coral", "salmon", "桃色", "珊瑚色"),
    "orange": ("orange", "rust", "橙色", "橘色", "橘红色", "橙", "橘"),
    "yellow": ("yellow", "mustard", "黄色", "明黄", "芥末黄", "黄"),
    "gold": ("gold", "golden", "金黄色", "金色"),
    "green": ("green", "lime", "mint", "绿色", "草绿", "墨绿", "绿"),
    "olive": ("olive", "khaki", "橄榄绿", "橄榄色", "军绿色", "军绿", "卡其色", "卡其"),
    "teal": ("teal", "turquoise", "cyan", "青色", "蓝绿色", "青绿色", "松石绿"),
    "blue": ("blue", "sky blue", "蓝色", "天蓝色", "浅蓝", "深蓝", "蓝"),
    "navy": ("navy", "navy blue", "藏青色", "藏青", "海军蓝", "藏蓝色", "藏蓝"),
    "purple": ("purple", "violet", "lavender", "mauve", "紫色", "紫罗兰", "薰衣草紫", "紫"),
    "brown": (
        "brown",
        "tan",
        "coffee",
        "chocolate",
        "bronze",
        "棕色",
        "褐色",
        "咖啡色",
        "棕",
        "褐",
    ),
    "beige": (
        "beige",
        "cream",
        "nude",
        "skin",
        "off white",
        "米色",
        "米白色",
        "米白",
        "杏色",
        "肤色",
    ),
    "grey": ("grey", "gray", "charcoal", "silver", "灰色", "炭灰", "银色", "银灰", "灰"),
    "black": ("black", "黑色", "纯黑", "黑"),
    "white": ("white", "白色", "纯白", "白"),
    "multicoloured": ("multi", "multicolour", "multicolor", "multicoloured", "多色", "彩色"),
}

GENDERS: Terms = {
    "men": ("men", "man", "men's", "mens", "male", "gents", "男士", "男款", "男式", "男装", "男"),
    "women": (
        *("women", "woman", "women's", "womens", "female", "ladies", "lady"),
        *("女士", "女款", "女式", "女装", "女"),
    ),
    "boys": ("boys", "boy", "boy's", "男童", "男孩", "男生"),
    "girls": ("girls", "girl", "girl's", "女童", "女孩", "女生"),
    "unisex": ("unisex", "男女通用", "男女同款", "男女", "中性"),
}

SEASONS: Terms = {
    "spring": ("spring", "春季", "春天", "春款", "春"),
    "summer": ("summer", "夏季", "夏天", "夏款", "夏"),
    "autumn": ("autumn", "fall", "秋季", "秋天", "秋款", "秋"),
    "winter": ("winter", "冬季", "冬天", "冬款", "冬"),
}

ALL: Mapping[str, Terms] = {"colour": COLOURS, "gender": GENDERS, "season": SEASONS}


def stated(text: str, terms: Terms) -> tuple[str, ...]:
    """The values that `text` states, in its order, each once; the longest word wins.

    >>> stated("Navy blue shirt, men's", COLOURS), stated("粉红女包", COLOURS)
    (('navy',), ('pink',))
    """
    pattern, value_of = _pattern(tuple(terms.items()))
    found = pattern.findall(text.casefold().replace("\u2019", "'"))
    return tuple(dict.fromkeys(value_of[word] for word in found))


@lru_cache(maxsize=16)
def _pattern(
    terms: tuple[tuple[str, tuple[str, ...]], ...],
) -> tuple[re.Pattern[str], dict[str, str]]:
    value_of = {word: value for value, words in terms for word in words}
    longest = sorted(value_of, key=lambda word: (-len(word), word))
    # A Latin word ends where its letters end; Chinese is written without gaps.
    parts = [
        rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])" if word.isascii() else re.escape(word)
        for word in longest
    ]
    return re.compile("|".join(parts)), value_of
