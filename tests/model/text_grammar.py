"""Small grammar kit for generate_text.py: templates, articles, plurals, numbers, pronouns.

A template is a plain string.  "[a|b|c]" is a random choice (they may nest), "{name}" or "{name.part}" is a slot,
and "a(n) " becomes "a " or "an " once the word behind it is known.  Sentences get their capital letter at the end,
so a slot such as {a.he} may stand anywhere.
"""
import random
import re

IRREGULAR = {"mouse": "mice", "goose": "geese", "sheep": "sheep", "fish": "fish", "child": "children",
             "loaf": "loaves", "leaf": "leaves", "knife": "knives", "wolf": "wolves", "calf": "calves",
             "scarf": "scarves", "shelf": "shelves", "potato": "potatoes", "tomato": "tomatoes",
             "foot": "feet", "woman": "women", "man": "men", "deer": "deer", "trout": "trout", "ox": "oxen"}
ONES = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen").split()
TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = ("zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth").split()

CHOICE = re.compile(r"\[([^\[\]]*)\]")
ARTICLE = re.compile(r"\b([Aa])\(n\) (\w+)")
SENTENCE = re.compile(r"(^\"?|[.!?] \"?|\n\"?)([a-zà-ÿ])")
VOWEL_SOUND = re.compile(r"(?!uni|use|one|eu)[aeiou]|hour|honest", re.IGNORECASE)


def article(word):
    """'a' or 'an', by the sound that the word starts with."""
    return "an" if VOWEL_SOUND.match(word) else "a"


def plural(noun):
    """Plural of a noun; in 'loaf of bread' the head noun takes it."""
    head, of, rest = noun.partition(" of ")
    first, space, last = head.rpartition(" ")
    if last in IRREGULAR:
        last = IRREGULAR[last]
    elif last.endswith(("s", "x", "ch", "sh", "z")):
        last += "es"
    elif last.endswith("y") and last[-2] not in "aeiou":
        last = last[:-1] + "ies"
    else:
        last += "s"
    return first + space + last + of + rest


def number(n):
    """A number from 0 to 9999 in words."""
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10] + ("-" + ONES[n % 10] if n % 10 else "")
    if n < 1000:
        return ONES[n // 100] + " hundred" + (" and " + number(n % 100) if n % 100 else "")
    rest = n % 1000
    return ONES[n // 1000] + " thousand" + ((" and " if rest < 100 else " ") + number(rest) if rest else "")


def count(n, noun):
    """'one apple', 'three apples', 'no apples'."""
    return ("no" if n == 0 else number(n)) + " " + (noun if n == 1 else plural(noun))


def joined(items, last="and"):
    """'a', 'a and b', 'a, b and c'."""
    items = list(items)
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + " " + last + " " + items[-1]


def capital(text):
    """First letter in upper case."""
    return text[:1].upper() + text[1:]


class Words:
    """A record whose attributes are used in templates; as a string it is its name."""

    def __init__(self, name, **parts):
        self.name = name
        self.__dict__.update(parts)

    def __format__(self, spec):
        return self.name

    __str__ = __format__ = lambda self, spec="": self.name

    @property
    def plural(self):
        return plural(self.name)


class Person(Words):
    """A person with pronouns."""

    def __init__(self, name, female, **parts):
        super().__init__(name, **parts)
        self.female = female
        self.he, self.him, self.his = ("she", "her", "her") if female else ("he", "him", "his")
        self.himself = self.him + "self"
        self.He, self.His = capital(self.he), capital(self.his)


class Gen:
    """Random choices and template filling.  Only random() is used: Python promises it never changes per seed."""

    def __init__(self, seed):
        self.random = random.Random(seed).random

    def pick(self, items):
        return items[int(self.random() * len(items))]

    def chance(self, p):
        return self.random() < p

    def between(self, low, high):
        """An integer from low to high, both included."""
        return low + int(self.random() * (high - low + 1))

    def sample(self, items, n):
        """n different items in random order."""
        pool = list(items)
        return [pool.pop(int(self.random() * len(pool))) for _ in range(n)]

    def weighted(self, pairs):
        """One of the keys of ((key, weight), ...)."""
        at = self.random() * sum(weight for _, weight in pairs)
        for key, weight in pairs:
            at -= weight
            if at < 0:
                return key
        return pairs[-1][0]

    def fill(self, template, /, **slots):
        """Expands choices and slots and repairs articles, but leaves capitals alone (for parts of sentences)."""
        if template.count("[") != template.count("]"):
            raise ValueError("unbalanced choice in template: " + template)
        while "[" in template:
            template = CHOICE.sub(lambda m: self.pick(m.group(1).split("|")), template)
        text = template.format(**slots)
        return ARTICLE.sub(lambda m: m.group(1) + article(m.group(2))[1:] + " " + m.group(2), text)

    def say(self, template, /, **slots):
        """One or more full sentences."""
        text = " ".join(self.fill(template, **slots).split())
        return SENTENCE.sub(lambda m: m.group(1) + m.group(2).upper(), text)

    def some(self, p, template, /, **slots):
        """The sentence with probability p, else nothing."""
        return self.say(template, **slots) if self.chance(p) else ""


def paragraph(*sentences):
    return " ".join(s for s in sentences if s)


def document(title, *paragraphs):
    """A title line and paragraphs, one to a line."""
    return "\n".join(p for p in (title,) + paragraphs if p)
