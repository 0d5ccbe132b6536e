"""What shoppers call things: English and Chinese words for every value of every attribute.

An English phrase that starts with "with " or "in " stands after the noun, any other before it.
The first Chinese word of a value is the glossary's.
"""

from collections.abc import Mapping

from xmodal.catalog.lexicon import Word, read_words


def words() -> Mapping[str, Mapping[str, Word]]:
    """Attribute -> value -> its words."""
    return {name: read_words(table) for name, table in _TABLES.items()}


def glossary() -> dict[str, dict[str, str]]:
    """Attribute -> value -> the Chinese term, as `glossary.zh.json` holds it."""
    return {
        name: {value: word.zh[0] for value, word in values.items()}
        for name, values in words().items()
    }


_COLOURS = """
red: red, crimson | 红色, 大红
orange: orange | 橙色, 橘色
yellow: yellow, mustard yellow | 黄色, 明黄
green: green | 绿色, 翠绿
olive: olive, olive green | 橄榄绿, 军绿
teal: teal, turquoise | 青色, 蓝绿色
sky blue: sky blue, light blue, pale blue | 天蓝色, 浅蓝
blue: blue, royal blue | 蓝色, 宝蓝
navy: navy, navy blue, dark blue | 藏青色, 深蓝
purple: purple, violet | 紫色
pink: pink, rose pink | 粉色, 粉红
brown: brown, chocolate brown | 棕色, 咖啡色
beige: beige, sand | 米色, 杏色
grey: grey, gray | 灰色
black: black | 黑色
white: white | 白色
"""

_TABLES: dict[str, str] = {
    "category": """
clothing: clothing | 服装
shoes: shoes | 鞋
bags: bags | 包
accessories: accessories | 配饰
home: home | 家居
""",
    "type": """
dress: dress, frock | 连衣裙, 洋装
t-shirt: t-shirt, tee, tshirt | T恤, 体恤衫
shirt: shirt, button-up shirt | 衬衫, 衬衣
sweater: sweater, jumper, pullover | 毛衣, 针织衫
skirt: skirt | 半身裙, 半裙
trousers: trousers, pants | 裤子, 裤装
sneaker: sneaker, trainer, gym shoe | 运动鞋, 球鞋
boot: boot, boots | 靴子, 皮靴
heels: heels, pumps, high heels | 高跟鞋
handbag: handbag, purse | 手提包, 女包
backpack: backpack, rucksack | 双肩包, 背包
umbrella: umbrella, brolly | 雨伞, 伞
scarf: scarf | 围巾
hat: hat | 帽子
watch: watch, wristwatch | 手表, 腕表
sunglasses: sunglasses, shades | 太阳镜, 墨镜
mug: mug, cup | 马克杯, 杯子
lamp: lamp, table lamp | 台灯, 灯
chair: chair | 椅子
cushion: cushion, pillow | 抱枕, 靠垫
""",
    "colour": _COLOURS,
    "second_colour": _COLOURS,
    "pattern": """
plain: plain, solid | 纯色, 素色
striped: striped, stripy | 条纹, 横条
pinstriped: pinstriped, pinstripe | 细条纹, 竖条
dotted: polka dot, dotted, spotted | 波点, 圆点
checked: checked, gingham, plaid | 格子, 方格
floral: floral, flowery, flower print | 碎花, 花朵
zigzag: zigzag, chevron | 波浪纹, 人字纹
starry: star print, starry | 星星, 星形印花
leafy: leaf print, leafy | 树叶, 叶子印花
camouflage: camouflage, camo | 迷彩
""",
    "material": """
cotton: cotton | 棉, 纯棉
wool: wool, knitted | 羊毛, 针织
denim: denim | 牛仔
leather: leather | 皮革, 真皮
satin: satin, silky | 缎面, 绸缎
canvas: canvas | 帆布
corduroy: corduroy, cord | 灯芯绒
straw: straw, woven straw | 草编
wooden: wooden, wood | 木质, 木制
metal: metal | 金属
ceramic: ceramic | 陶瓷
velvet: velvet | 丝绒, 天鹅绒
acetate: acetate | 板材
""",
    "brand": """
Solenne: Solenne | 索兰
Lunaro: Lunaro | 月诺
Estella: Estella | 星黛
Voltik: Voltik | 伏特
Amorette: Amorette | 爱慕蕾
Crossby: Crossby | 克罗斯
Alpina: Alpina | 岭峰
Tribar: Tribar | 三栏
Marea: Marea | 潮汐
Verdana: Verdana | 绿叶坊
Kitewell: Kitewell | 凯特
Orbit: Orbit | 环轨
""",
    "sleeve": """
strapless: strapless | 抹胸
sleeveless: sleeveless | 无袖
short sleeve: short-sleeved, short sleeve, with short sleeves | 短袖
long sleeve: long-sleeved, long sleeve, with long sleeves | 长袖
""",
    "length": """
mini: mini, short | 超短款
midi: midi, mid-length | 中长款
maxi: maxi, long | 长款
shorts: short-leg, knee-baring | 短裤款
cropped: cropped, ankle-length | 九分
full length: full-length | 全长
""",
    "waist": """
belted: belted, with a belt | 系腰带
bow: bow-waist, with a bow | 蝴蝶结
plain waist: plain-waisted | 普通腰
""",
    "neck": """
crew neck: crew neck, round-neck | 圆领
v-neck: v-neck, with a v-neck | V领
polo collar: polo, with a polo collar | 翻领
turtleneck: turtleneck, roll-neck, with a high neck | 高领
""",
    "collar": """
classic collar: classic-collar | 普通领
contrast collar: contrast-collar, with a contrast collar | 撞色领
band collar: band-collar, grandad-collar | 立领
""",
    "fit": """
regular fit: regular-fit | 合身
cropped fit: cropped, short-cut | 短版
oversized: oversized, loose | 宽松
skinny: skinny, slim | 紧身
straight-leg: straight-leg | 直筒
wide-leg: wide-leg, flared | 阔腿
""",
    "cut": """
pencil: pencil, slim | 包臀
pleated: pleated, with pleats | 百褶
flared: flared, a-line | 伞摆
""",
    "top": """
low-top: low-top | 低帮
high-top: high-top | 高帮
roll top: roll-top, with a roll top | 卷口
flap top: flap-top, with a buckled flap | 翻盖
zip top: zip-top | 拉链
""",
    "sole": """
flat sole: flat-soled | 平底
chunky sole: chunky, with a chunky sole | 厚底
""",
    "shaft": """
ankle: ankle | 短筒
mid-calf: mid-calf | 中筒
knee-high: knee-high, tall | 长筒
""",
    "heel": """
flat heel: flat, with a flat heel | 平跟
kitten heel: kitten-heel, low-heeled | 小猫跟
block heel: block-heel, with a block heel | 粗跟
stiletto heel: stiletto, with a stiletto heel | 细跟
""",
    "closure": """
laced: lace-up, with laces | 系带
buckled: buckled, with a buckle | 搭扣
zipped: zipped, with a zip | 拉链款
flap: flap-over, with a flap | 盖式
open top: open-top | 敞口
""",
    "toe": """
closed toe: closed-toe | 包头
open toe: open-toe, peep-toe | 露趾
""",
    "strap": """
ankle strap: ankle-strap, with an ankle strap | 绑带
bow: bow-trimmed, with a bow | 蝴蝶结
no strap: slip-on | 一脚蹬
""",
    "shape": """
tote: tote, shopper | 托特
satchel: satchel, boxy | 剑桥
half-moon: half-moon, crescent | 半月
bucket: bucket | 水桶
round: round | 圆形
square: square | 方形
straight-sided: straight-sided | 直身
tapered: tapered | 锥形
rounded: rounded, pot-bellied | 圆肚
oblong: oblong, rectangular | 长方形
""",
    "handle": """
top handle: top-handle, with a top handle | 手柄
long strap: shoulder, with a long strap | 长肩带
chain strap: chain-strap, with a gold chain | 链条
hooked handle: hook-handled, with a hooked handle | 弯钩柄
ball handle: ball-handled, with a ball handle | 圆球柄
straight handle: straight-handled, with a straight handle | 直柄
round handle: with a round handle | 圆把手
square handle: with a square handle | 方把手
no handle: handleless, with no handle | 无把手
""",
    "pocket": """
front pocket: front-pocket, with a front pocket | 前袋
two pockets: two-pocket, with two pockets | 双口袋
no pocket: pocketless | 无口袋
""",
    "state": """
open: opened | 撑开
folded: folded, rolled-up | 收起
""",
    "style": """
draped: draped, long | 披挂
looped: looped, snood | 环绕
sun hat: wide-brim, sun | 宽檐
baseball cap: baseball-cap, peaked | 棒球
bucket hat: bucket, small-brim | 渔夫
beanie: beanie, bobble | 毛线
""",
    "ends": """
fringed: fringed, with fringes | 流苏
tasselled: tasselled, with pompoms | 毛球
plain ends: plain-ended | 平边
""",
    "band": """
ribbon band: with a ribbon band, with a contrast band | 撞色带
plain band: with a plain band | 同色带
""",
    "case": """
gold case: gold-case, with a gold case | 金色表壳
silver case: silver-case, with a silver case | 银色表壳
""",
    "dial": """
white dial: white-dial, with a white face | 白色表盘
black dial: black-dial, with a black face | 黑色表盘
""",
    "frame": """
round: round, round-frame | 圆框
square: square, square-frame | 方框
aviator: aviator, pilot | 飞行员
cat-eye: cat-eye, with cat-eye frames | 猫眼
""",
    "lens": """
dark lenses: dark-lens, with dark lenses | 深色镜片
mirrored lenses: mirrored, with mirrored lenses | 反光镜片
amber lenses: amber-lens, with amber lenses | 琥珀镜片
""",
    "shade": """
cone shade: cone-shade, with a cone shade | 锥形灯罩
drum shade: drum-shade, with a drum shade | 筒形灯罩
dome shade: dome-shade, with a dome shade | 半球灯罩
""",
    "base": """
tripod base: tripod, with three legs | 三脚
ball base: ball-base, with a round base | 球形底座
column base: column, with a slim stand | 细杆
""",
    "back": """
solid back: solid-back, with a solid back | 实心靠背
round back: round-back, with a round back | 圆靠背
slatted back: slat-back, with a slatted back | 栅条靠背
""",
    "legs": """
wooden legs: wood-legged, with wooden legs | 木腿
metal legs: metal-legged, with steel legs | 金属腿
black legs: black-legged, with black legs | 黑色腿
""",
    "arms": """
with armrests: arm, with armrests | 带扶手
without armrests: armless | 无扶手
""",
    "edge": """
piped: piped, with piping | 滚边
tasselled: fringed, with tassels | 流苏边
buttoned: buttoned, with a button | 钉扣
plain edge: plain-edged | 素边
""",
}
