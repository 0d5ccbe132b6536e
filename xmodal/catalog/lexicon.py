"""Names that stand for each other: colours, genders, seasons, kinds; English and Chinese.

`find` tells where a text names which concept, so that a variant of the text can put another name
there. `terms.py` is wider: it reads what a text states, and calls silver a grey. The shop's
glossary adds its own values.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from xmodal.catalog.captions import Glossary
from xmodal.catalog.language import is_chinese


@dataclass(frozen=True)
class Word:
    """The English and the Chinese names of one value, the usual ones first."""

    en: tuple[str, ...]
    zh: tuple[str, ...]


@dataclass(frozen=True)
class Concept:
    """One value that texts name: `colour` `red`."""

    facet: str
    name: str
    word: Word


@dataclass(frozen=True)
class Mention:
    """Where a text names a concept: text[start:end]."""

    start: int
    end: int
    concept: Concept
    suffix: str  # a plural or possessive ending, which text[start:end] includes


@dataclass(frozen=True)
class Lexicon:
    """Concepts, found by any of their names."""

    concepts: tuple[Concept, ...]

    def find(self, text: str) -> list[Mention]:
        """What the text names, from left to right; of overlapping names the longest.

        Latin names are whole words in any case, with or without a plural or possessive s.

        >>> [m.concept.name for m in lexicon().find("Women's navy blue tees 男")]
        ['women', 'navy', 't-shirt', 'men']
        """
        found = []
        for match in self._pattern.finditer(text):
            name = match["zh"] or match["en"]
            concept = self._by_name[_plain(name)]
            found.append(Mention(match.start(), match.end(), concept, match["suffix"] or ""))
        return found

    @cached_property
    def _by_name(self) -> dict[str, Concept]:
        """The first concept of each name: the general words win over a glossary's."""
        found: dict[str, Concept] = {}
        for concept in self.concepts:
            for name in (*concept.word.en, *concept.word.zh):
                found.setdefault(_plain(name), concept)
        return found

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        names = sorted(self._by_name, key=lambda name: (-len(name), name))
        han = "|".join(re.escape(name) for name in names if any(map(is_chinese, name)))
        latin = "|".join(
            re.escape(name).replace(r"\ ", r"\s+")
            for name in names
            if not any(map(is_chinese, name))
        )
        edge = r"[^\W_\u3400-\u9fff]"  # a letter or digit that is no Han character
        return re.compile(
            rf"(?P<zh>{han or '(?!)'})"
            rf"|(?<!{edge})(?P<en>{latin or '(?!)'})(?P<suffix>['’]?s|es)?(?!{edge})",
            re.IGNORECASE,
        )


def lexicon(glossary: Glossary | None = None) -> Lexicon:
    """The general words and those of the shop's glossary."""
    general = tuple(
        Concept(facet, name, word)
        for facet, table in _TABLES.items()
        for name, word in read_words(table).items()
    )
    return Lexicon((*general, *_of_glossary(glossary or {}, Lexicon(general))))


def read_words(table: str) -> dict[str, Word]:
    """Read `value: en, en | zh, zh` lines."""
    out = {}
    for line in table.strip().splitlines():
        value, _, rest = line.strip().partition(": ")
        en, _, zh = rest.partition(" | ")
        out[value] = Word(tuple(en.split(", ")), tuple(zh.split(", ")))
    return out


def _of_glossary(glossary: Mapping[str, Mapping[str, str]], general: Lexicon) -> Iterable[Concept]:
    """The glossary's values that the general words do not hold already."""
    for facet, values in glossary.items():
        for value, term in values.items():
            if not (_is_one(value, general) and _is_one(term, general)):
                yield Concept(facet, value, Word((value,), (term,)))


def _is_one(text: str, general: Lexicon) -> bool:
    """Whether the whole text is one name."""
    found = general.find(text)
    return len(found) == 1 and (found[0].start, found[0].end) == (0, len(text))


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


_TABLES: dict[str, str] = {
    "colour": """
red: red | 红色, 红
orange: orange | 橙色, 橘色
yellow: yellow | 黄色, 黄
green: green | 绿色, 绿
olive: olive, olive green | 橄榄绿, 军绿色
teal: teal, turquoise | 青色, 蓝绿色
blue: blue | 蓝色, 蓝
navy: navy, navy blue | 藏青色, 藏蓝色, 深蓝色
purple: purple, violet | 紫色, 紫
lavender: lavender | 薰衣草紫, 淡紫色
pink: pink | 粉色, 粉红色
magenta: magenta, fuchsia | 洋红色, 玫红色
maroon: maroon, burgundy | 栗色, 酒红色
brown: brown | 棕色, 咖啡色, 褐色
tan: tan | 浅棕色
beige: beige | 米色, 杏色
khaki: khaki | 卡其色
cream: cream | 奶油色, 奶白色
grey: grey, gray | 灰色, 灰
charcoal: charcoal | 炭灰色
black: black | 黑色, 黑
white: white | 白色, 白
gold: gold, golden | 金色
silver: silver | 银色
multi: multi, multicolour, multicolor, assorted | 多色, 彩色
""",
    "gender": """
men: men, man, mens, gents, gent, male | 男士, 男款, 男装, 男性, 男
women: women, woman, womens, ladies, lady, female | 女士, 女款, 女装, 女性, 女
boys: boys, boy | 男童, 男孩
girls: girls, girl | 女童, 女孩
unisex: unisex | 中性, 男女同款
""",
    "season": """
spring: spring | 春季, 春天, 春款
summer: summer | 夏季, 夏天, 夏款
autumn: autumn, fall | 秋季, 秋天, 秋款
winter: winter | 冬季, 冬天, 冬款
all seasons: all season, all seasons | 四季
""",
    "kind": """
t-shirt: t-shirt, tee, tshirt, t shirt | T恤, 体恤
shirt: shirt | 衬衫, 衬衣
sweater: sweater, jumper, pullover | 毛衣, 针织衫
sweatshirt: sweatshirt | 卫衣
jacket: jacket | 夹克, 外套
trousers: trousers, pants, slacks | 裤子, 长裤
jeans: jeans, denims | 牛仔裤
shorts: shorts | 短裤
skirt: skirt | 半身裙, 半裙, 裙子
dress: dress, frock | 连衣裙, 洋装
sports shoes: sports shoes, sneaker, trainer, running shoe | 运动鞋, 跑鞋, 球鞋
sandals: sandal | 凉鞋
slippers: flip flops, flip flop, flipflop | 人字拖, 拖鞋
heels: heels, pumps, high heels | 高跟鞋
boots: boot | 靴子, 长靴
shoes: shoe, footwear | 鞋子, 鞋
handbag: handbag, purse | 手提包, 女包
backpack: backpack, rucksack | 双肩包, 背包
wallet: wallet, billfold | 钱包, 皮夹
belt: belt | 皮带, 腰带
watch: watch, wristwatch | 手表, 腕表
sunglasses: sunglasses, shades | 太阳镜, 墨镜
scarf: scarf | 围巾
hat: hat | 帽子
cap: cap | 鸭舌帽, 棒球帽
socks: socks | 袜子
perfume: perfume, fragrance | 香水
mug: mug, cup | 马克杯, 杯子
cushion: cushion, pillow | 抱枕, 靠垫
lamp: lamp | 台灯
chair: chair | 椅子
umbrella: umbrella | 雨伞
""",
}
