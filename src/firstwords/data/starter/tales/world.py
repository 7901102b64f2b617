"""The state of a tale: who has what, who is where, and what things are like.

A plot states after each of its beats how the beat changes the world, and what it takes for granted:

    A gets key           A has the key from now on; nobody else may have it
    A gives key B        A must have it; then B has it
    A loses key          A must have it
    A uses key           A must have it
    A goes mill          A is at the mill
    A meets B            B is where A is
    A beside B           they must be in the same place
    coat is wet          a property from now on
    coat needs wet       it must have the property
    coat not wet         it must have the property, and loses it
"""


class WorldError(ValueError):
    """A beat takes something for granted that is not so."""


class World:
    """What is so at one point of a tale."""

    def __init__(self) -> None:
        self.holders: dict[str, str] = {}
        self.places: dict[str, str] = {}
        self.properties: set[tuple[str, str]] = set()

    def apply(self, effect: str) -> None:
        """Change the world. Raises WorldError if the effect is impossible."""
        subject, verb, value, *rest = effect.split()
        if verb in ("gives", "loses", "uses") and self.holders.get(value) != subject:
            raise WorldError(f"{effect}: {subject} does not have the {value}")
        if verb == "gets" and value in self.holders:
            raise WorldError(f"{effect}: {self.holders[value]} has the {value}")
        if verb in ("needs", "not") and (subject, value) not in self.properties:
            raise WorldError(f"{effect}: the {subject} is not {value}")
        if verb == "beside" and self.place(subject) != self.place(value):
            raise WorldError(f"{effect}: they are in different places")
        if verb == "gets":
            self.holders[value] = subject
        elif verb == "gives":
            self.holders[value] = rest[0]
        elif verb == "loses":
            del self.holders[value]
        elif verb == "goes":
            self.places[subject] = value
        elif verb == "meets":
            self.places[value] = self.place(subject)
        elif verb == "is":
            self.properties.add((subject, value))
        elif verb == "not":
            self.properties.remove((subject, value))
        elif verb not in ("uses", "needs", "beside"):
            raise WorldError(f"{effect}: unknown verb")

    def place(self, who: str) -> str:
        """Return where somebody is; all begin at home."""
        return self.places.get(who, "home")


def world_after(effects: list[str]) -> World:
    """Return the world after these effects."""
    world = World()
    for effect in effects:
        world.apply(effect)
    return world
