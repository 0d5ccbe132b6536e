"""Which language a line of text is in, as far as its script tells; when two are one text."""


def is_chinese(char: str) -> bool:
    """Whether a character is a Han character."""
    return "\u4e00" <= char <= "\u9fff" or "\u3400" <= char <= "\u4dbf"


def language_of(text: str) -> str:
    """`zh` where a Han character occurs, else `en`; '' of nothing."""
    if not text:
        return ""
    return "zh" if any(map(is_chinese, text)) else "en"


def fold(text: str) -> str:
    """The text without case and surplus space: equal where a shopper would see one query."""
    return " ".join(text.casefold().split())
