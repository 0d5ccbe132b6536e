"""What a demo product is: everything that its picture shows and its title may say."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Design:
    """One product's looks.

    `second` is the pattern's colour, "" where the pattern is "plain". `parts` holds what is
    particular to the kind: a shirt's sleeve, a chair's back.
    """

    kind: str
    colour: str
    pattern: str
    second: str
    material: str
    brand: str
    parts: tuple[tuple[str, str], ...]

    def attributes(self) -> dict[str, str]:
        """The catalogue's attributes of this product, without its category."""
        shown = {
            "type": self.kind,
            "colour": self.colour,
            "pattern": self.pattern,
            "second_colour": self.second,
            "material": self.material,
            "brand": self.brand,
            **dict(self.parts),
        }
        return {name: value for name, value in shown.items() if value}
