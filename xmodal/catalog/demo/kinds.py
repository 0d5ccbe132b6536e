"""The kinds of product that the shop sells: parts, materials, patterns, and how to draw each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from xmodal.catalog.demo import bags, home, shoes, wear
from xmodal.catalog.demo.canvas import Canvas

_ALL = (
    "plain",
    "striped",
    "pinstriped",
    "dotted",
    "checked",
    "floral",
    "zigzag",
    "starry",
    "leafy",
    "camouflage",
)
_SOFT = ("cotton", "denim", "corduroy", "satin", "wool", "velvet")


@dataclass(frozen=True)
class Kind:
    """One product type. `parts` maps an attribute to the values that it may take."""

    category: str
    draw: Callable[[Canvas, Mapping[str, str]], None]
    parts: Mapping[str, tuple[str, ...]]
    materials: tuple[str, ...]
    patterns: tuple[str, ...] = _ALL
    price: tuple[int, int] = (10, 90)


KINDS: dict[str, Kind] = {
    "dress": Kind(
        "clothing",
        wear.draw_dress,
        {
            "sleeve": ("strapless", "sleeveless", "short sleeve", "long sleeve"),
            "length": ("mini", "midi", "maxi"),
            "waist": ("belted", "bow", "plain waist"),
        },
        ("cotton", "satin", "velvet"),
        price=(35, 180),
    ),
    "t-shirt": Kind(
        "clothing",
        wear.draw_t_shirt,
        {
            "sleeve": ("short sleeve", "long sleeve", "sleeveless"),
            "neck": ("crew neck", "v-neck", "polo collar"),
        },
        ("cotton", "wool"),
        price=(9, 45),
    ),
    "shirt": Kind(
        "clothing",
        wear.draw_shirt,
        {
            "sleeve": ("short sleeve", "long sleeve"),
            "collar": ("classic collar", "contrast collar", "band collar"),
        },
        ("cotton", "denim", "corduroy", "satin"),
        price=(19, 95),
    ),
    "sweater": Kind(
        "clothing",
        wear.draw_sweater,
        {
            "neck": ("crew neck", "v-neck", "turtleneck"),
            "fit": ("regular fit", "cropped fit", "oversized"),
        },
        ("wool", "cotton", "velvet"),
        price=(29, 140),
    ),
    "skirt": Kind(
        "clothing",
        wear.draw_skirt,
        {"length": ("mini", "midi", "maxi"), "cut": ("pencil", "pleated", "flared")},
        ("cotton", "denim", "leather", "corduroy", "satin"),
        price=(19, 110),
    ),
    "trousers": Kind(
        "clothing",
        wear.draw_trousers,
        {
            "fit": ("skinny", "straight-leg", "wide-leg"),
            "length": ("shorts", "cropped", "full length"),
        },
        ("denim", "cotton", "corduroy", "leather"),
        price=(25, 120),
    ),
    "sneaker": Kind(
        "shoes",
        shoes.draw_sneaker,
        {"top": ("low-top", "high-top"), "sole": ("flat sole", "chunky sole")},
        ("canvas", "leather"),
        price=(39, 160),
    ),
    "boot": Kind(
        "shoes",
        shoes.draw_boot,
        {
            "shaft": ("ankle", "mid-calf", "knee-high"),
            "heel": ("flat heel", "block heel", "stiletto heel"),
            "closure": ("laced", "buckled", "zipped"),
        },
        ("leather", "canvas", "velvet"),
        ("plain", "checked", "floral", "camouflage", "striped", "leafy"),
        price=(59, 240),
    ),
    "heels": Kind(
        "shoes",
        shoes.draw_heels,
        {
            "heel": ("kitten heel", "block heel", "stiletto heel"),
            "toe": ("closed toe", "open toe"),
            "strap": ("ankle strap", "bow", "no strap"),
        },
        ("leather", "satin", "velvet"),
        ("plain", "dotted", "floral", "zigzag", "checked", "striped"),
        price=(45, 210),
    ),
    "handbag": Kind(
        "bags",
        bags.draw_handbag,
        {
            "shape": ("tote", "satchel", "half-moon", "bucket"),
            "handle": ("top handle", "long strap", "chain strap"),
            "closure": ("flap", "zipped", "open top"),
        },
        ("leather", "canvas", "straw", "velvet"),
        price=(39, 320),
    ),
    "backpack": Kind(
        "bags",
        bags.draw_backpack,
        {
            "top": ("roll top", "flap top", "zip top"),
            "pocket": ("front pocket", "two pockets", "no pocket"),
        },
        ("canvas", "leather", "denim"),
        price=(35, 170),
    ),
    "umbrella": Kind(
        "accessories",
        bags.draw_umbrella,
        {
            "state": ("open", "folded"),
            "handle": ("hooked handle", "ball handle", "straight handle"),
        },
        ("cotton", "satin"),
        price=(15, 60),
    ),
    "scarf": Kind(
        "accessories",
        bags.draw_scarf,
        {"style": ("draped", "looped"), "ends": ("fringed", "tasselled", "plain ends")},
        ("wool", "satin", "cotton"),
        price=(15, 80),
    ),
    "hat": Kind(
        "accessories",
        bags.draw_hat,
        {
            "style": ("sun hat", "baseball cap", "bucket hat", "beanie"),
            "band": ("ribbon band", "plain band"),
        },
        ("cotton", "straw", "wool", "denim", "corduroy"),
        price=(12, 70),
    ),
    "watch": Kind(
        "accessories",
        home.draw_watch,
        {
            "shape": ("round", "square"),
            "case": ("gold case", "silver case"),
            "dial": ("white dial", "black dial"),
        },
        ("leather", "canvas", "wool"),
        ("plain", "striped", "pinstriped", "zigzag", "checked", "dotted"),
        price=(49, 420),
    ),
    "sunglasses": Kind(
        "accessories",
        home.draw_sunglasses,
        {
            "frame": ("round", "square", "aviator", "cat-eye"),
            "lens": ("dark lenses", "mirrored lenses", "amber lenses"),
        },
        ("acetate", "wooden", "metal"),
        ("plain", "striped", "dotted", "camouflage"),
        price=(19, 190),
    ),
    "mug": Kind(
        "home",
        home.draw_mug,
        {
            "shape": ("straight-sided", "tapered", "rounded"),
            "handle": ("round handle", "square handle", "no handle"),
        },
        ("ceramic", "metal", "wooden"),
        price=(6, 29),
    ),
    "lamp": Kind(
        "home",
        home.draw_lamp,
        {
            "shade": ("cone shade", "drum shade", "dome shade"),
            "base": ("tripod base", "ball base", "column base"),
        },
        ("cotton", "straw", "metal", "satin"),
        price=(25, 190),
    ),
    "chair": Kind(
        "home",
        home.draw_chair,
        {
            "back": ("solid back", "round back", "slatted back"),
            "legs": ("wooden legs", "metal legs", "black legs"),
            "arms": ("with armrests", "without armrests"),
        },
        ("velvet", "leather", "wooden", "cotton"),
        price=(49, 350),
    ),
    "cushion": Kind(
        "home",
        home.draw_cushion,
        {
            "shape": ("square", "round", "oblong"),
            "edge": ("piped", "tasselled", "buttoned", "plain edge"),
        },
        _SOFT,
        price=(9, 60),
    ),
}
