"""Which OpenMoji glyphs are portraits: tables of code points.

A portrait shows the head and shoulders of one person, with the face at the position of OpenMoji's standard bust: within
4 of the drawing's 72 units in both directions, which is 2.6 pixels at 32x32. `PEOPLE` are persons, alone or as woman or
man; `TRADES` are trades and hair styles on the standard bust; `NAMELESS` are OpenMoji's additions to Unicode. The first
two come in yellow and in five skin tones.

Full bodies, couples, families, hands, smileys and masks are not portraits. `LEFT_OUT` lists single heads that are
excluded, with the reason; it overrides the other tables.
"""

from typing import NamedTuple

CLASS_NAMES = ["none", "light", "medium-light", "medium", "medium-dark", "dark"]

PEOPLE = {
    "1F385": "Santa Claus",
    "1F466": "boy",
    "1F467": "girl",
    "1F468": "man",
    "1F469": "woman",
    "1F46E": "police officer",
    "1F470": "person with veil",
    "1F471": "person with blond hair",
    "1F473": "person with turban",
    "1F474": "old man",
    "1F475": "old woman",
    "1F477": "construction worker",
    "1F478": "princess",
    "1F482": "guard",
    "1F486": "person getting a head massage",
    "1F575": "detective",
    "1F645": "person gesturing no",
    "1F646": "person gesturing OK",
    "1F64D": "person frowning",
    "1F64E": "person pouting",
    "1F926": "person with palm on face",
    "1F934": "prince",
    "1F935": "person in tuxedo",
    "1F936": "Mrs Claus",
    "1F937": "person shrugging",
    "1F9B8": "superhero",
    "1F9B9": "supervillain",
    "1F9CF": "deaf person",
    "1F9D1": "adult",
    "1F9D2": "child",
    "1F9D3": "older adult",
    "1F9D4": "person with beard",
    "1F9D5": "woman with headscarf",
    "1F9D6": "person in steam bath",
    "1F9D9": "mage",
    "1F9DA": "fairy",
    "1F9DB": "vampire",
    "1F9DD": "elf",
    "1FAC5": "person with crown",
}
WORKERS = ("1F468", "1F469", "1F9D1")
TRADES = {
    "1F33E": "farmer",
    "1F373": "cook",
    "1F384": "Christmas elf",
    "1F393": "student",
    "1F3A4": "singer",
    "1F3A8": "artist",
    "1F3EB": "teacher",
    "1F3ED": "factory worker",
    "1F4BB": "technologist",
    "1F4BC": "office worker",
    "1F527": "mechanic",
    "1F52C": "scientist",
    "1F680": "astronaut",
    "1F692": "firefighter",
    "1F9B0": "red hair",
    "1F9B1": "curly hair",
    "1F9B2": "bald",
    "1F9B3": "white hair",
    "2695": "health worker",
    "2696": "judge",
    "2708": "pilot",
}
NAMELESS = {
    "E0AC": "person wearing a mask",
    "E0AC-2640": "woman wearing a mask",
    "E0AC-2642": "man wearing a mask",
    "E185": "person with coffee",
    "E186": "man with coffee",
    "E187": "woman with coffee",
    "E300": "woman in nurse's cap, with stethoscope",
    "E301": "man in nurse's cap, with stethoscope",
    "E302": "woman in nurse's cap",
    "E303": "man in nurse's cap",
    "E340": "man with flower",
    "E341": "woman with flower",
}
LEFT_OUT = {
    "1F472": "Gua Pi Mao: the face fills the drawing",
    "1F476": "baby: larger face",
    "1F47C": "baby angel: larger face, no shoulders",
    "1F481": "information desk: head beside the middle",
    "1F487": "haircut: head beside the middle",
    "1F64B": "raised hand: head beside the middle",
    "1F647": "bowing: head too low",
    "1F482-2640": "guardswoman: head too low",
    "1F977": "ninja: head too high",
    "1F931": "breast-feeding: two heads",
    "1F468-1F37C": "feeding a baby: two heads",
    "1F469-1F37C": "feeding a baby: two heads",
    "1F9D1-1F37C": "feeding a baby: two heads",
    "1F464": "bust in silhouette: no face",
    "1F9DE": "genie: no human skin",
    "1F9DF": "zombie: no human skin",
    "E183": "likeness of a living person",
    "E188": "likeness of a living person",
    "E2C8": "hood and goggles: no face",
    "E2D9": "gas mask: no face",
}

_TONES = ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")  # Fitzpatrick types 1 and 2, 3, 4, 5, 6
_SEXES = ("2640", "2642")
_JOINERS = ("200D", "FE0F")


class Glyph(NamedTuple):
    """One portrait: code points as in OpenMoji's file name, and its class, an index into `CLASS_NAMES`."""

    hexcode: str
    skin_tone: int


def portrait(hexcode: str) -> Glyph | None:
    """The portrait with these code points (``1F9D1-1F3FD-200D-1F33E``), or None if it is not a portrait."""
    points = [point for point in hexcode.split("-") if point not in _JOINERS]
    tones = [point for point in points if point in _TONES]
    plain = [point for point in points if point not in _TONES]
    if len(tones) > 1 or not _is_portrait(plain):
        return None
    return Glyph(hexcode, _TONES.index(tones[0]) + 1 if tones else 0)


def _is_portrait(points: list[str]) -> bool:
    name = "-".join(points)
    if name in LEFT_OUT:
        return False
    match points:
        case [person]:
            return person in PEOPLE or name in NAMELESS
        case [person, addition]:
            sexed = person in PEOPLE and addition in _SEXES
            return sexed or (person in WORKERS and addition in TRADES) or name in NAMELESS
    return False
