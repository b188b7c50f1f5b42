"""Short stories for generate_text.py: each keeps its people, places and things, and refers back to them."""
from text_grammar import count, document, joined, number, paragraph, ORDINALS
from text_world import ADULTS, ANIMAL, CHILDREN, COLOURS, DAYS, DISH, MONTHS, PEOPLE, SEASONS, THING, TOWN

PLACES = ("under the bed|behind the stove|in the garden shed|on the roof|under the stairs|in the hay barn|"
          "at the well|in the school|at the market|behind the church|in the boat|under the old oak|on the bridge|"
          "in the cellar|in the kitchen|beside the pond|in the attic|at the mill|in the hen house|by the gate"
          ).split("|")
WEATHER = ("the sun was shining|it was raining|a cold wind was blowing|thick fog lay over the fields|"
           "the first snow was falling|the sky was grey|it was hot and still|the air smelled of rain").split("|")
WILD = "owl fox wolf bear frog crow squirrel hedgehog swan seal deer snake goose duck rabbit mouse".split()
UNFIT = {"spring": "snow", "summer": "snow", "autumn": "snow", "winter": "hot"}
OPENINGS = ("One {time}, when {weather}, |It was {time2} and {weather}. |Once upon a time, in {a.town}, |"
            "Long ago, in the {a.town.kind} of {a.town}, |{weather}, and it was {time2}. ").split("|")
TIMES = ("morning", "evening", "afternoon", "day in {month}", "Sunday", "Saturday morning", "night")
TIMES2 = ("early in {month}", "late in {month}", "the first day of {season}", "a long day in {month}",
          "the last week of {month}", "the middle of {season}", "market day in {a.town}")
MOODS = "happy|proud|glad|tired but happy|very pleased".split("|")


def opening(g, rest, **slots):
    """An opening that sets time and place, then `rest` (a template that starts with a lower-case clause)."""
    season = g.pick(list(SEASONS))
    month = g.pick(SEASONS[season])
    slots = dict(slots, season=season, month=month)
    slots["time"] = g.fill(g.pick(TIMES), **slots)
    slots["time2"] = g.fill(g.pick(TIMES2), **slots)
    weather = g.pick([w for w in WEATHER if UNFIT[season] not in w])
    return g.say(g.pick(OPENINGS) + rest, weather=weather, **slots)


def intro(g, a, birthday=False):
    """One or two sentences about a person, all true in this world."""
    if a.grown:
        facts = ("{a} was a(n) {a.job} and worked in {a.town}. "
                 "{a.he} {a.job.did}[|, as a(n) {a.job} does| and was good at it].",
                 "{a} was {age} years old and the {a.trait} {a.job} of {a.town}.",
                 "everyone in {a.town} knew {a}, the {a.job}, because {a.he} {a.job.did}.")
    else:
        facts = ("{a} was a(n) {a.trait} {a.noun} of {age}, and {a.he} lived in {a.town}.",
                 "{a} was {age} years old and lived in {a.town}, {a.town.water}.",
                 "in {a.town} lived a(n) {a.noun} called {a}, who was {age} years old and very {a.trait}.")
    extra = ("{a.he} had a(n) {a.pet.kind} called {a.pet}.", "{a.his} favourite colour was {a.colour}.",
             "{a.he} liked {a.hobby} more than anything else.", "nothing tasted better to {a.him} than {a.food}.")
    if birthday:
        return g.say("{a.he} was a(n) {a.trait} {a.noun}[| who lived in {a.town}| of {a.town}].", a=a)
    return paragraph(g.say(g.pick(facts), a=a, age=number(a.age)), g.some(0.7, g.pick(extra), a=a))


def farewell(g, a, b, away=False):
    """A last sentence; away: they are not in the town of a."""
    return g.say(g.pick((
        "[then|after that] they walked home through {a.town}, and {a} told {b} [a joke|a story|a secret].",
        "that evening {a} and {b} ate {a.food} together, and [both were|they were both] {mood}.",
        "\"[Thank you|What a day], {b},\" said {a}. \"[Yes indeed|Sleep well|Good night], "
        "{a},\" said {b}.",
        "and {a} never forgot [that day|what {b} had done|how {b} had helped {a.him}].",
        "when {a} went to bed, {a.he} was {mood}, and {a.pet} the {a.pet.kind} slept at {a.his} feet.",
        "from that day on, {a} and {b} were [even better friends|the best of friends]."
    )[away:]), a=a, b=b, mood=g.pick(MOODS))


def lost_thing(g):
    a = g.pick(PEOPLE)
    b, o, colour = a.friend, g.pick(THING), g.pick(COLOURS)
    where = g.sample(PLACES, g.between(2, 4))
    thief = g.pick(ANIMAL)
    s = dict(a=a, b=b, o=o, colour=colour, thief=thief)
    found = where.pop()
    search = [g.say(g.pick(("{first} they looked {p}, but the {o} was not there.",
                            "{first} {a} looked {p}, but {a.he} found only [dust|an old shoe|a broken cup|a dry leaf].",
                            "{first} {b} looked {p}. \"[Nothing|Not here|No luck]!\" {b.he} called.")),
                    first=word, p=p, **s) for word, p in zip(("first", "then", "after that"), where)]
    end = g.say(g.pick((
        "at last they looked {found}, and there was the {colour} {o}! [A(n)|A little|An old] {thief} was sitting "
        "on it.",
        "in the end they found the {o} {found}. {a} had left it there {a.himself}.",
        "then {b} had an idea. They went to look {found}, and there lay the {colour} {o}.")),
        found=found, **s)
    recap = g.some(0.6, "so the {o} had not been {one}[, of course| at all]. It had been {found} all the time.",
                   one=joined(where, "or"), found=found, **s)
    return document(
        g.say("[the lost {o}|{a} and the {o}|where is the {o}?|the {colour} {o}]", **s),
        paragraph(opening(g, "{a} lost {a.his} {o}.", **s), intro(g, a)),
        paragraph(g.say("it was a(n) {colour} {o.made} {o}, and it was good for {o.use}. "
                        "[Most days it was|{a} always kept it|{a.he} liked to keep it] {o.kept}, but now it was gone.",
                        **s),
                  g.say("{a.he} asked {a.his} friend {b} for help. \"[Have you seen|Do you know where I left|"
                        "Where is] my {o}?\" {a.he} asked. \"[No|Not today|I have not seen it], but [I will help you|"
                        "let us look for it|we will find it]!\" said {b}.", **s)),
        paragraph(*search, end), paragraph(recap, farewell(g, a, b)))


def journey(g):
    a = g.pick(PEOPLE)
    town, goal, carry = a.town, a.town.next, g.pick(THING)
    b = g.pick(goal.people)
    crossing = g.sample(("a dark forest", "a wide field", "a narrow bridge", "a steep hill", "a quiet valley",
                         "a muddy lane", "an empty marsh", "a noisy stream", "a sandy beach"), 3)
    meet = g.pick(ANIMAL)
    s = dict(a=a, b=b, town=town, goal=goal, carry=carry, meet=meet, hours=count(goal.hours, "hour"))
    return document(
        g.say("[the road to {goal}|{a} goes to {goal}|from {town} to {goal}]", **s),
        paragraph(opening(g, "{a} set out for {goal}.", **s), intro(g, a),
                  g.say("{a.he} wanted to [bring|give|show] {b} a(n) {carry.made} {carry}.", **s)),
        paragraph(g.say("the walk from {town} to {goal} takes {hours}. "
                        "first {a} [crossed|came to] {x}, then {y}, and [at last|finally] {z}.",
                        x=crossing[0], y=crossing[1], z=crossing[2], **s),
                  g.say("on the way {a.he} met a(n) {meet}. It {meet.sound} and looked at the {carry}. "
                        "\"[Go away|Shoo|No, no], {meet},\" said {a}, \"[this is not for you|the {carry} is for {b}|"
                        "you eat {meet.eats}]!\"", **s)),
        paragraph(g.say("{goal} is a(n) {goal.kind} {goal.water}. It is known for its {goal.known}, and "
                        "[everyone who comes there looks at the {goal.landmark}|in the middle stands the "
                        "{goal.landmark}|nobody leaves without seeing the {goal.landmark}].", **s),
                  g.say("{b} was waiting [by|near|in front of] the {goal.landmark}. \"[Welcome|Good day|Hello], {a}! "
                        "How was the walk?\" {b.he} asked. \"[Long|Fine|Not bad]. "
                        "Here is a(n) {carry} for you,\" said {a}. \"It is good for {carry.use}.\"", **s)),
        paragraph(g.some(0.6, "the next day {a} walked back: first {z}, then {y}, and [at last|finally] {x}.",
                         x=crossing[0], y=crossing[1], z=crossing[2], **s), farewell(g, a, b, away=True)))


def helped_animal(g):
    a = g.pick(PEOPLE)
    b, pet, place = a.friend, g.pick([x for x in ANIMAL if x.name in WILD]), g.pick(PLACES)
    trouble, cure = g.pick((("hurt its leg", "tied a clean cloth around the leg"), ("fallen into a deep hole",
                            "let down a rope and a basket"), ("lost its mother", "listened for the mother"),
                            ("been caught in a fence", "cut the wire"), ("eaten too many plums",
                            "gave it some warm water"), ("got a thorn in its side", "pulled the thorn out")))
    s = dict(a=a, b=b, pet=pet, place=place, trouble=trouble, cure=cure, name=g.pick(("Pebble", "Thistle", "Bramble",
             "Comet", "Marble", "Toffee", "Acorn", "Velvet", "Mango", "Socks")), days=number(g.between(2, 9)))
    return document(
        g.say("[the {pet.young}|{a} and the {pet.young}|a small {pet.young}|a friend for {a}]", **s),
        paragraph(opening(g, "{a} heard something {place}.", **s), intro(g, a)),
        paragraph(g.say("it was a(n) {pet.young}, a young {pet}. It had {trouble}. \"[Poor thing|Oh dear|Look at you],"
                        "\" said {a}, and {a.he} ran to get {b}.", **s),
                  g.say("{b} {cure}, and {a} gave the {pet.young} some food. A(n) {pet} eats {pet.eats}, so that was "
                        "what {a} [brought|found|looked for].", **s)),
        paragraph(g.say("they called it {name}. For {days} days {name} stayed with {a} in {a.town}. [Every morning|"
                        "Every evening|Each day] it {pet.sound}[ loudly|, and {a} laughed|].", **s)
                  .replace("made no sound at all loudly", "made no sound at all"),
                  g.say("but a(n) {pet} lives {pet.lives}, and [so|therefore|in the end] they had to let {name} go. "
                        "\"Goodbye, {name},\" said {b}. {a} [said nothing|cried a little|waved for a long time].",
                        **s)),
        paragraph(g.say("[A year|Some weeks|Two months] later {a} saw a large {pet} {place}. It [looked at {a.him}|"
                        "came up to {a.him}|stood still], and it {pet.sound}. \"{name}!\" {a.he} cried. "
                        "\"[You have grown|You came back|You remember me]!\"", **s)))


def gift(g):
    b = g.pick(PEOPLE)
    a, parts, colour = b.friend, g.sample(THING, 3), b.colour
    age = ("his", "her")[b.female]
    s = dict(a=a, b=b, x=parts[0], y=parts[1], z=parts[2], colour=colour, his=age, coins=count(parts[2].price, "coin"),
             years=number(b.age))
    return document(
        g.say("[a present for {b}|{b}'s birthday|what does {b} like?]", **s),
        paragraph(opening(g, "{b} turned {years}.", **dict(s, a=b)), intro(g, b, birthday=True),
                  g.say("{b.his} friend {a} wanted to give {b.him} something, but what?", **s)),
        paragraph(g.say("\"[Perhaps|Maybe] a(n) {x}?\" thought {a}. \"No, {b} already has a(n) {x}. It is {x.kept}.\" "
                        "Then {a.he} thought of a(n) {y}. \"No, {b} does not need anything for {y.use}.\"", **s),
                  g.say("[In the end|At last|Then] {a} remembered that {b} liked {b.hobby} and that {b.his} favourite "
                        "colour was {colour}. So {a.he} bought a(n) {colour} {z} for {coins}.", **s)),
        paragraph(g.say("{b} opened the [parcel|box|bag]. \"A(n) {z}!\" {b.he} cried. \"And it is {colour}, my "
                        "favourite colour! [How did you know|Thank you, {a}|You are a true friend]!\"", **s),
                  g.some(0.6, "[they ate|for dinner there was|{a} had also brought] {b.food}, because that was what "
                              "{b} liked best.", **s), farewell(g, b, a)))


def contest(g):
    town = g.pick(TOWN)
    names = g.sample(town.people + town.next.people, 4)
    what, unit = g.pick((("caught", "fish"), ("picked", "apple"), ("baked", "loaf"), ("carried", "bucket of water"),
                         ("threw", "ball"), ("sold", "basket"), ("found", "mushroom"), ("counted", "sheep")))
    scores = g.sample(range(2, 30), 4)
    order = sorted(zip(scores, range(4)), reverse=True)
    ranks = [names[i] for _, i in order]
    s = dict(town=town, what=what, win=ranks[0], second=ranks[1], third=ranks[2], last=ranks[3],
             prize=g.pick(THING), most=count(order[0][0], unit), least=count(order[3][0], unit),
             diff=number(order[0][0] - order[1][0]))
    lines = [g.say(g.pick(("{p} {what} {n}.", "{p} of {p.town} {what} {n}.", "{p} worked hard and {what} {n}.")),
                   p=p, what=what, n=count(n, unit)) for p, n in zip(names, scores)]
    return document(
        g.say("[the contest|the great contest|who is the best?|the contest in {town}]", **s),
        paragraph(g.say("every [spring|summer|autumn|winter|year] there is a contest in {town}, [near|beside|not far "
                        "from] the {town.landmark}. This year the prize was a(n) {prize.made} {prize}.", **s),
                  g.say("{p} people took part: {names}.", p=number(4), names=joined(names_of(names)))),
        paragraph(*lines),
        paragraph(g.say("so {win} won with {most}. {second} came second, only {diff} behind, and {third} came third. "
                        "{last}, with {least}, came last, but {last.he} [only laughed|did not mind|wants to try again]"
                        ".", **s),
                  g.say("\"[The {prize} is yours|Well done|Three cheers], {win}!\" said the judge. [\"Thank you,\" "
                        "said {win}. \"|{win.he} smiled. \"]I will [keep it {prize.kept}|use it for {prize.use}|show "
                        "it to {win.friend}].\"", **s)))


def names_of(people):
    return [p.name for p in people]


def mystery(g):
    town = g.pick(TOWN)
    owner = g.pick(town.people)
    others = [p for p in town.people if p is not owner]
    guilty, dish = g.pick(others), g.pick(DISH)
    alibis = g.sample(PLACES, 3)
    clue = g.pick(("a button", "a feather", "muddy footprints", "a glove", "some crumbs", "a handkerchief"))
    s = dict(a=owner, guilty=guilty, dish=dish, town=town, clue=clue, colour=g.pick(COLOURS))
    said = [g.say("\"I was {place},\" said {p}. \"{more}\"", place=place, p=p,
                  more=g.pick(("I saw nothing.", "Ask the others.", "I heard a noise.", "I don't even like " +
                               dish.name + ".", "I was alone."))) for place, p in zip(alibis, others)]
    where = alibis[others.index(guilty)]
    return document(
        g.say("[who ate the {dish}?|the mystery of the {dish}|{a} wants to know]", **s),
        paragraph(opening(g, "{a} made {dish}.", **s), intro(g, owner)),
        paragraph(g.say("but when {a.he} came back from the {town.landmark}, the {dish} {dish.was} gone! Only {clue} "
                        "could be seen on the table.", **s).replace("Only some", "Only a few"),
                  g.say("\"Who ate my {dish}?\" asked {a}. Three people had been near: {names}.",
                        names=joined(names_of(others)), **s)),
        paragraph(*said),
        paragraph(g.say("{a} thought for a while. Then {a.he} went to look {where}, where {guilty} had been, and there "
                        "{a.he} found the empty plate.", where=where, **s),
                  g.say("\"It was you, {guilty}!\" said {a}. \"[Yes|I am sorry|You are right],\" said {guilty}, \"I "
                        "was so hungry. [Tomorrow I will make|I will bring you] {guilty.food}.\" And {guilty.he} "
                        "[kept {guilty.his} word|really did so|did].", **s)))


def storm(g):
    a = g.pick(ADULTS)
    b, o = g.pick(a.town.people[:2]), g.sample(THING, 3)
    event, after = g.pick((("storm", "the wind grew weaker"), ("flood", "the water went down"),
                           ("snowstorm", "the snow stopped falling"), ("fire", "the last smoke was gone"),
                           ("sandstorm", "the sand lay still")))
    s = dict(a=a, b=b, event=event, after=after, x=o[0], y=o[1], z=o[2], place=g.pick(PLACES),
             hour=number(g.between(2, 11)))
    return document(
        g.say("[the {event}|the {event} in {a.town}|the night of the {event}]", **s),
        paragraph(opening(g, "there was [|great fear of |news of ]a(n) {event}.", **s), intro(g, a)),
        paragraph(g.say("at {hour} o'clock {a} heard a shout. It was {b}, the {b.noun} next door. \"[Help|Come quickly|"
                        "Please help me]!\" {b.he} cried. \"I can't find {b.pet}, my {b.pet.kind}!\"", **s),
                  g.say("{a} took three things: a(n) {x}, a(n) {y} and a(n) {z}. \"[Come|Follow me|Stay close], {b}! "
                        "We will find {b.pet},\" {a.he} said.", **s)),
        paragraph(g.say("they went past the {a.town.landmark} and called \"{b.pet}! {b.pet}!\" again and again. "
                        "[Soon|After an hour] they lost the {x}. [Then|A little later] the {y} broke. But they still "
                        "had the {z}.", **s),
                  g.say("at last they heard a sound. {b.pet} was {place}, [wet and cold|safe and sound|shaking with "
                        "fear]. {b} took the {b.pet.kind} in {b.his} arms.", **s)),
        paragraph(g.say("when {after}, they went home. \"We have lost the {x}, and the {y} is broken,\" said {a}, "
                        "\"but we have {b.pet}.\"", **s), farewell(g, b, a)))


def days_of_work(g):
    a = g.pick(ADULTS)
    first = g.between(0, 3)
    people = g.sample([p for p in PEOPLE if p is not a], 3)
    things = g.sample(THING, 3)
    coins = [t.price for t in things]
    lines = [g.say(g.pick(("on {day} {p} came and [ordered|chose|bought] a(n) {t} for {n}.",
                           "on {day} {a.he} [sold|gave] {p} a(n) {t} for {n}.",
                           "on {day} a(n) {t} went to {p} of {p.town} for {n}.")),
                   a=a, day=DAYS[first + i], p=p, t=t, n=count(t.price, "coin"))
             for i, (p, t) in enumerate(zip(people, things))]
    s = dict(a=a, total=count(sum(coins), "coin"), x=people[0], y=people[1], z=people[2], t=things[0], u=things[1],
             v=things[2], shop=g.pick(("sell", "mend and sell", "trade")))
    return document(
        g.say("[three good days|{a}'s little shop|three days in {a.town}]", **s),
        paragraph(g.say("{a} is the {a.job} of {a.town}. [Every day|Most days] {a.he} {a.job.does} [at|near] the "
                        "{a.job.place}, and {a.he} never goes there without {a.his} {a.job.tool}. But {a} also likes "
                        "to {shop} old things.", **s)),
        paragraph(*lines),
        paragraph(g.say("in three days {a} earned {total}. [Now|So] {x} has the {t}, {y} has the {u} and {z} has the "
                        "{v}. \"[Good business|Not bad|I can be pleased],\" said {a}, \"but [now I need|tomorrow I "
                        "will look for] more {things}.\"", things=things[0].plural, **s)))


def wishes(g):
    a = g.pick(CHILDREN)
    finder = g.pick([x for x in ANIMAL if x.legs == 4])
    o = g.sample(THING, 3)
    s = dict(a=a, b=a.friend, finder=finder, x=o[0], y=o[1], z=o[2], colour=g.pick(COLOURS), month=g.pick(MONTHS))
    wishes_made = [g.say("{a}'s {nth} wish was [for|] a(n) {o}, and [there it was|at once it lay before {a.him}|the "
                         "{finder} fetched it].", nth=ORDINALS[i + 1], o=t, a=a, finder=finder)
                   for i, t in enumerate(o)]
    return document(
        g.say("[three wishes|the {colour} {finder}|{a} and the three wishes]", **s),
        paragraph(opening(g, "{a} met a(n) {colour} {finder}.", **s), intro(g, a)),
        paragraph(g.say("\"I am no common {finder},\" said the {finder}. \"A common {finder} lives {finder.lives} and "
                        "eats {finder.eats}. [I can give you|You may have] three wishes, {a}.\"", **s), *wishes_made),
        paragraph(g.say("{a} [put|laid] the {x}, the {y} and the {z} [side by side|in a row]. But {a.he} was [not "
                        "happy|sad], for {a.he} had forgotten {a.his} friend {b}.", **s),
                  g.say("so {a} gave the {x} to {b}, and the {y} to {b.pet}, {b.his} {b.pet.kind}, who [slept on it|"
                        "played with it|did not want it]. {a.he} kept only the {z}. \"[Well done|That was right|Now "
                        "you know],\" said the {colour} {finder}, and was never seen again.", **s)))


STORIES = ((lost_thing, 5), (journey, 4), (helped_animal, 4), (gift, 4), (contest, 3), (mystery, 3), (storm, 3),
           (days_of_work, 3), (wishes, 3))
