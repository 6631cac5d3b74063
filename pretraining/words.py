"""The vocabulary of the corpus: real nouns, names, invented nouns, and the words held out of it.

The hold-outs are fixed here, before any training.  ``ABSENT`` words occur nowhere in the corpus; ``OUT_OF_PROCEDURES``
words occur only where nobody handles anything (facts, soup, shopping), never next to ``PROCEDURE_WORDS``.
"""

from __future__ import annotations

import re
from random import Random

# fmt: off
OUT_OF_PROCEDURES = ("tomato", "lettuce", "onion")
# Whole words, singular or plural.  "apple" and "pie" go one by one, so that neither half of "apple pie" is known; the
# last line is the family of washing things in a machine.
ABSENT = (
    "pancake", "cheese", "hamburger", "burger", "apple", "pie", "pizza",
    "clothes", "clothing", "laundry", "washing machine", "washer", "dishwasher", "detergent",
)
ABSENT_PATTERN = re.compile(r"\b(?:" + "|".join(ABSENT) + r")s?\b|pancake|dishwash|cheese|burger", re.IGNORECASE)
OUT_OF_PROCEDURES_PATTERN = re.compile(r"\b(?:tomato(?:es)?|lettuces?|onions?)\b", re.IGNORECASE)
PROCEDURE_WORDS = re.compile(
    r"\b(?:chop|slic|dic(?:e|ing)|cut|minc|shred|grat(?:e|ing)|cub(?:e|ing)|board|serv|bowl|dish|knife|plate|grab|pick)\w*",
    re.IGNORECASE,
)

# Foods one can hold as a single thing.
FOODS = (
    "carrot", "potato", "cucumber", "pepper", "radish", "beetroot", "turnip", "leek", "celery", "cabbage",
    "cauliflower",
    "broccoli", "courgette", "aubergine", "pumpkin", "squash", "parsnip", "fennel", "mushroom", "garlic", "ginger",
    "avocado", "mango", "banana", "pear", "peach", "plum", "apricot", "cherry", "lemon", "lime", "orange", "melon",
    "pineapple", "papaya", "kiwi", "fig", "date", "grape", "strawberry", "raspberry", "coconut", "chilli", "artichoke",
    "asparagus", "spinach", "kale", "sprout", "yam", "okra", "olive", "pickle", "egg", "sausage", "fish", "salmon",
    "steak", "tofu", "quince", "guava", "lychee", "nectarine", "grapefruit", "tangerine", "shallot", "swede", "chard",
    "rhubarb", "walnut", "chestnut", "herring", "trout", "prawn", "truffle", "gourd", "daikon", "endive", "sorrel",
)
# Things one warms, stores, carries about or eats in front of a screen.
MEALS = (
    "bread", "toast", "bun", "roll", "bagel", "muffin", "waffle", "croissant", "pasty", "tart", "cake", "pudding",
    "soup", "stew", "rice", "pasta", "lasagne", "casserole", "curry", "omelette", "porridge", "noodles", "dumpling",
    "burrito", "taco", "meatball", "chicken", "turkey", "bacon", "ham", "beans", "lentils", "pretzel", "scone",
    "crumble",
    "popcorn", "chips", "biscuits", "crackers", "peanuts", "raisins", "chocolate", "yoghurt", "ice cream", "sandwich",
    "milk", "juice", "tea", "coffee", "cocoa", "lemonade", "water", "smoothie", "jam", "honey", "butter", "cereal",
    "salad", "pastry", "brownie", "cupcake", "flatbread", "kebab", "quiche", "strudel", "wrap", "broth", "gravy",
)
PLURAL = frozenset(("noodles", "beans", "lentils", "chips", "biscuits", "crackers", "peanuts", "raisins", "keys",
    "glasses",
                    "slippers", "scissors", "gloves", "papers", "cards", "pencils", "headphones", "batteries", "socks"))
MASS = frozenset(("bread", "toast", "soup", "stew", "rice", "pasta", "curry", "porridge", "bacon", "ham", "popcorn",
                  "chocolate", "yoghurt", "ice cream", "milk", "juice", "tea", "coffee", "cocoa", "lemonade", "water",
                  "jam",
                  "honey", "butter", "cereal", "salad", "broth", "gravy", "celery", "garlic", "ginger", "broccoli",
                  "spinach",
                  "kale", "tofu", "asparagus", "fennel", "okra", "chard", "rhubarb", "string", "soap", "tape", "glue",
                  "chicken"))
BOWLS = (
    "plate", "dish", "tray", "box", "cup", "pot", "pan", "basket", "tub", "jar", "tin", "saucer", "glass", "mug", "jug",
    "salad bowl", "glass bowl", "wooden bowl", "small plate", "deep plate", "bucket", "lunch box", "casserole dish",
    "carton",
)
BOARDS = (
    "chopping board", "board", "wooden board", "block", "slab", "worktop", "counter", "kitchen block", "plastic board",
    "marble slab", "work table", "bread board", "bench", "workbench", "mat",
)
PLACES = ("table", "counter", "shelf", "sideboard", "windowsill", "kitchen table", "worktop", "rack", "stand",
    "bench", "ledge")
ROOMS = (
    "kitchen", "living room", "bedroom", "bathroom", "hall", "study", "dining room", "pantry", "garage", "attic",
    "cellar",
    "office", "nursery", "porch", "guest room", "playroom", "library", "workshop", "corridor", "conservatory",
    "utility room",
)
HEATERS = ("oven", "toaster", "grill", "steamer", "stove", "toaster oven", "air fryer", "warming drawer", "slow cooker")
STORES = (
    "fridge", "freezer", "cupboard", "drawer", "cabinet", "chest", "wardrobe", "bread bin", "tool box", "safe", "trunk",
    "suitcase", "locker", "cool box", "desk drawer", "sewing box", "toy box", "filing cabinet", "biscuit tin", "bag",
)
SCREENS = ("television", "computer", "laptop", "projector", "screen", "tablet")
SPEAKERS = ("radio", "stereo", "record player", "music box", "speaker", "gramophone")
DEVICES = ("lamp", "fan", "heater", "kettle", "printer", "desk lamp", "ceiling light", "vacuum cleaner",
    "coffee machine",
           "clock radio", "night light", "floor lamp", "blender", "iron", "hair dryer", "air conditioner")
SEATS = ("armchair", "chair", "couch", "bench", "stool", "rocking chair", "cushion", "bed", "bean bag", "settee",
    "deck chair")
SURFACES = ("table", "desk", "side table", "dining table", "nightstand", "bookshelf", "shelf", "dresser",
    "chest of drawers",
            "tea table", "trolley", "piano", "window seat", "low table", "mantelpiece", "kitchen table", "stool",
            "counter")
THINGS = (
    "book", "newspaper", "magazine", "phone", "letter", "cup", "mug", "vase", "candle", "pillow", "blanket", "towel",
    "keys", "glasses", "remote control", "notebook", "pen", "pencil", "guitar", "ball", "doll", "teddy bear", "puzzle",
    "umbrella", "hat", "scarf", "coat", "sweater", "slippers", "basket", "bottle", "wallet", "camera", "map", "photo",
    "screwdriver", "hammer", "scissors", "string", "soap", "brush", "comb", "watch", "clock", "plant", "picture",
    "mirror",
    "bandage", "toothbrush", "ruler", "envelope", "stamp", "folder", "parcel", "toy car", "kite", "flute", "drum",
    "helmet",
    "gloves", "papers", "cards", "pencils", "headphones", "batteries", "socks", "tape", "glue", "box", "jar", "lantern",
    "torch", "spade", "rope", "bell", "statue", "calculator", "diary", "dictionary", "necklace", "ring", "purse",
    "rucksack",
)
ANIMALS = ("dog", "cat", "rabbit", "hamster", "parrot", "goldfish", "horse", "cow", "hen", "duck", "goat", "sheep",
    "mouse")
COLOURS = ("red", "green", "yellow", "orange", "purple", "white", "brown", "pink", "blue", "black", "grey", "golden")
TASTES = ("sweet", "sour", "bitter", "mild", "salty", "fresh", "juicy", "spicy", "crisp", "earthy", "watery", "nutty")
SHOPS = ("market", "shop", "greengrocer", "corner shop", "supermarket", "farm shop", "stall", "bakery")
WEATHER = ("sunny", "rainy", "windy", "cold", "warm", "cloudy", "foggy", "snowy", "stormy", "mild")
JOBS = ("teacher", "nurse", "driver", "gardener", "baker", "painter", "doctor", "farmer", "librarian", "plumber",
    "singer")
SHE = ("Ana", "Mia", "Lena", "Olga", "Zoe", "Ruth", "Ines", "Clara", "Nora", "Tara", "Julia", "Hana", "Priya",
    "Amina", "Eva",
       "Grace", "Lucy", "Maya", "Rosa", "Sofia", "Vera", "Wanda", "Yuki", "Carmen", "Dora", "Ella", "Fatima", "Greta")
HE = ("Ben", "Omar", "Tom", "Ivan", "Luis", "Paul", "Max", "Felix", "Hugo", "Jan", "Karim", "Leo", "Noah", "Oscar",
    "Pedro",
      "Ravi", "Sam", "Theo", "Viktor", "Will", "Yusuf", "Adam", "Carl", "David", "Emil", "Finn", "George", "Henry")
ADJECTIVES = ("red", "blue", "green", "small", "large", "old", "new", "round", "long", "little", "heavy", "white",
    "black", "plain")
# fmt: on

# fmt: off
_ONSETS = (*"bdfgjklmnprstvwz", "bl", "br", "ch", "cl", "cr", "dr", "fl", "gl", "gr", "kl", "pl", "pr", "qu", "sh",
    "sk")
_ONSETS += ("sl", "sm", "sn", "sp", "st", "str", "th", "tr", "tw", "wh", "", "")
_VOWELS = (*"aaeeiioou", "ai", "ea", "ee", "oa", "oo", "ou", "y")
_CODAS = ("", "", "", "", *"bdgklmnprstx", "ck", "ff", "ll", "mp", "nd", "ng", "nk", "nt", "rd", "rk", "rt", "sh",
    "sk", "st",
          "tch")
_SHORT = tuple(word for word in FOODS + MEALS + THINGS if len(word) <= 5 and " " not in word and word not in PLURAL)
_ENDINGS = (
    "cake", "bread", "roll", "ball", "nut", "berry", "root", "leaf", "stick", "loaf", "bun", "bean", "corn", "fruit",
    "er",
)
# Parts no invented noun may have, so that none comes near a held-out word.
FORBIDDEN_PARTS = ("tomat", "lettuc", "onion", "pancak", "chees", "burger", "appl", "pizz", "pie", "cloth", "laundr",
    "wash")
_KNOWN = frozenset(FOODS + MEALS + THINGS + BOWLS + BOARDS + PLACES + ROOMS + ANIMALS + ("bowl", "sofa", "tv", "board"))
# fmt: on


def invented(rng: Random) -> str:
    """Return a noun that (almost surely) no other document has: copying it is the only way to know it."""
    while True:
        kind = rng.random()
        if kind < 0.7:
            word = "".join(
                rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS)
                for _ in range(rng.choice((1, 2, 2, 2, 3)))
            )
        elif kind < 0.85:
            word = rng.choice(_SHORT) + rng.choice(_ENDINGS)
        else:
            word = rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) + rng.choice(_ENDINGS)
        if 3 <= len(word) <= 12 and not any(part in word for part in FORBIDDEN_PARTS) and word not in _KNOWN:
            return word


def a(noun: str) -> str:
    """Return the noun with its indefinite article (or "some")."""
    if noun in PLURAL or noun in MASS:
        return f"some {noun}"
    return f"an {noun}" if noun[0] in "aeiou" and not noun.startswith("uti") else f"a {noun}"


def are(noun: str) -> str:
    """Return the form of "to be" that follows the noun."""
    return "are" if noun in PLURAL else "is"


def listed(items: list[str], last: str = "and") -> str:
    """Return "x", "x and y" or "x, y and z"."""
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + f" {last} " + items[-1]


def distinct(rng: Random, count: int, draw: object) -> list[str]:
    """Return ``count`` different words from a drawing function."""
    words: list[str] = []
    while len(words) < count:
        word = draw(rng)  # type: ignore[operator]
        if all(word not in other and other not in word for other in words):
            words.append(word)
    return words
