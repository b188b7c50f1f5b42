"""Everything but stories for generate_text.py: facts, talks, letters, recipes, sums, riddles, lists and so on."""
from text_grammar import ORDINALS, article, capital, count, document, joined, number, paragraph, plural
from text_world import (ADULTS, ANIMAL, CHILDREN, COLOURS, DAYS, DISH, HOBBIES, JOB, MONTHS, PEOPLE, SEASONS, THING,
                        TOWN)

GOODS = (("apple", 2), ("pear", 2), ("loaf of bread", 4), ("egg", 1), ("bottle of milk", 3), ("cabbage", 3),
         ("sack of flour", 12), ("jar of honey", 9), ("piece of cheese", 6), ("onion", 1), ("bunch of carrots", 2),
         ("pound of butter", 7), ("fish", 5), ("melon", 8), ("potato", 1), ("bag of nuts", 5), ("cup of tea", 2))
OPPOSITES = ("hot cold|big small|old young|fast slow|wet dry|early late|light dark|open shut|full empty|high low|"
             "long short|hard soft|happy sad|rich poor|near far|strong weak|loud quiet|clean dirty|thick thin|"
             "first last|heavy light|up down|left right|good bad|deep shallow|cheap dear").split("|")
CORNERS = "church|well|bakery|inn|bridge|school|red house|old wall|post office|big oak".split("|")
SELLERS = "grocer baker farmer miller beekeeper cook".split()
RHYMES = [x.split() for x in ("night light sight height|day way hay bay|tree sea bee key|rain lane grain plain|"
                              "stone bone throne cone|hill mill sill quill|moon spoon noon tune").split("|")]
SKY = {"spring": ("light rain", "sun and showers", "a fresh wind", "thin clouds"),
       "summer": ("hot sunshine", "a thunderstorm", "a clear blue sky", "warm rain"),
       "autumn": ("thick fog", "a strong wind", "heavy rain", "low grey clouds"),
       "winter": ("deep snow", "hard frost", "an icy wind", "a pale cold sun")}
DEGREES = {"spring": (7, 17), "summer": (18, 31), "autumn": (5, 16), "winter": (-12, 4)}


def about_town(g):
    t = g.pick(TOWN)
    s = dict(t=t, next=t.next, hours=count(t.hours, "hour"), a=g.pick(t.people[2:]), b=g.pick(t.people[:2]))
    more = g.sample(("if you ask for {t}, people will tell you about its {t.known}.",
                     "the market is held on {t.market}s, [in front of|near|beside] the {t.landmark}.",
                     "the way from {t} to {next} takes {hours}[ on foot|].",
                     "{a}, the {a.job}, lives here. {a.he} {a.job.does} at the {a.job.place}.",
                     "one of the children of {t} is {b}, who is {b.trait} and likes {b.hobby}.",
                     "[nobody knows who built|every visitor must see|the children like to play near] the {t.landmark}."
                     ), g.between(3, 6))
    return document(
        g.say("[{t}|about {t}|a visit to {t}|{t} and its {t.landmark}]", **s),
        paragraph(g.say("{t} is a(n) {t.kind} {t.water}. [It is known for its {t.known}|Its {t.known} can be bought "
                        "everywhere|People come from far away to buy its {t.known}].", **s),
                  *[g.say(m, **s) for m in more]))


def about_animal(g):
    a, b = g.sample(ANIMAL, 2)
    legs = ("{A} {a} has no legs." if a.legs == 0 else "{A} {a} has {legs} legs.")
    s = dict(a=a, b=b, A=article(a.name), legs=number(a.legs), an=article(a.name), animals=a.plural)
    more = g.sample(("it lives {a.lives}.", "it eats {a.eats}.", legs, "its body is covered with {a.cover}.",
                     "a young {a} is called a(n) {a.young}.", "it is a(n) {a.size} animal."), g.between(3, 6))
    return document(
        g.say("[the {a}|about {animals}|{animals}]", **s),
        paragraph(*[g.say(m, **s) for m in more],
                  g.some(0.5, "a(n) {b} is different: it lives {b.lives} and eats {b.eats}.", **s),
                  g.some(0.4, "{p.name} of {p.town} has seen [many {animals}|a(n) {a}|three {animals}] "
                              "[this year|this week|near the {p.town.landmark}].", p=g.pick(PEOPLE), **s)))


def about_person(g):
    a = g.pick(PEOPLE)
    s = dict(a=a, age=number(a.age), b=a.friend)
    more = g.sample(("{a.his} favourite colour is {a.colour}.", "{a.he} likes {a.hobby}.",
                     "{a.his} best friend is {b}[, who likes {b.hobby}|].",
                     "{a.he} has a(n) {a.pet.kind} called {a.pet}.",
                     "the food {a.he} likes best is {a.food}.", "people say that {a.he} is very {a.trait}.",
                     "{a.town} is {a.town.water}, and {a} often walks to the {a.town.landmark}."), g.between(3, 6))
    first = ("{a} is {age} years old and works as a(n) {a.job} in {a.town}. {a.he} {a.job.does}." if a.grown else
             "{a} is a(n) {a.noun} of {age} and goes to school in {a.town}.")
    return document(g.say("[{a}|who is {a}?|{a} of {a.town}|meet {a}]", **s),
                    paragraph(g.say(first, **s), *[g.say(m, **s) for m in more]))


def about_trade(g):
    j = g.pick(JOB)
    workers = [p for p in ADULTS if p.job is j]
    s = dict(j=j, who=joined(f"{p.name} in {p.town}" for p in workers), jobs=plural(j.name), p=g.pick(workers))
    return document(
        g.say("[the {j}|what does a(n) {j} do?|the work of a(n) {j}]", **s),
        paragraph(g.say("a(n) {j} {j.does}. [The place of work is|You will find a(n) {j} at] the {j.place}, and "
                        " [the most important tool is|no {j} can work without] a {j.tool}.", **s),
                  g.some(0.8, "[there are two {jobs} in this country: {who}|the {jobs} of this country are {who}].",
                         **s),
                  g.some(0.5, "\"[I like my work|It is hard work|I could do nothing else],\" says {p}. \"Every day I "
                              "come to the {j.place} at {h} o'clock.\"", h=number(g.between(4, 9)), **s)))


def about_things(g):
    lines = []
    for o in g.sample(THING, g.between(2, 4)):
        s = dict(o=o, n=count(o.price, "coin"), things=o.plural)
        lines.append(paragraph(*[g.say(m, **s) for m in g.sample((
            "a(n) {o} is made of {o.material}.", "you need a(n) {o} for {o.use}.", "you will find the {o} {o.kept}.",
            "a(n) {o} costs {n}.", "good {things} are [not cheap|hard to find|sold in every town]."), 3)]))
    return document(g.say("[useful things|things in the house|what is it for?|my things]"), *lines)


def recipe(g):
    d = g.pick(DISH)
    verbs = {"bake": "in the hot oven", "simmer": "over a low fire", "fry": "over a hot fire",
             "boil": "over a strong fire", "mix": "with a wooden spoon"}
    first, *rest = d.list
    s = dict(d=d, first=first, second=rest[0], rest=joined(rest[1:]) or "a little love", how=verbs[d.verb],
             n=number(int(d.minutes)), p=g.pick([x for x in PEOPLE if x.food is d] or PEOPLE),
             people=number(g.between(2, 8)))
    steps = ("[First|To begin], [wash|weigh|prepare] the {first} and the {second}.",
             "[Then|Next] [take|fetch|clean] a(n) {d.vessel} and put in the {first}.",
             "[Add|Stir in|After that add] the {second}.", "[Now|Then] add {rest}.",
             "{verb} everything {how} for {n} minutes.",
             "[Let it cool|Wait a little|Taste it|Serve it at once][ and enjoy|].")
    lines = [f"{i}. " + g.say(t, verb=capital(d.verb), **s) for i, t in enumerate(steps, 1)]
    return document(
        g.say("[how to make {d}|{d}|a recipe for {d}]", **s),
        g.say("for {people} people you need {d.parts}.", **s), *lines,
        g.some(0.5, "{p} of {p.town} [makes it every Sunday|says that nothing tastes better|learned it as a child].",
               **s) if s["p"].food is d else "")


def shop_talk(g):
    seller, buyer = g.pick([p for p in ADULTS if p.job.name in SELLERS]), g.pick(PEOPLE)
    lines, total = [], 0
    talk = [g.say("\"[Good morning|Good day|Hello], {b}! What [would you like|can I do for you|do you need]?\" "
                  "asked {a}, the {a.job}.", a=seller, b=buyer)]
    for i, (what, price) in enumerate(g.sample(GOODS, g.between(1, 3))):
        n = g.between(1, 6)
        total += n * price
        s = dict(n=count(n, what), what=what, cost=count(n * price, "coin"), each=count(price, "coin"))
        talk.append(g.say("\"[I would like|I need|Give me|I want to buy] {n}[, please|].\"" if i == 0 else
                          "\"[And|Then also|I also need] {n}[, please|].\"", **s))
        talk.append(g.say("\"[Here you are|Very well|Of course]. One {what} costs {each}, so that makes {cost}.\""
                          if n > 1 else "\"[Here you are|Very well|Of course]. That makes {cost}.\"", **s))
        lines.append(n * price)
    paid = (total // 10 + 1) * 10
    end = dict(total=count(total, "coin"), paid=count(paid, "coin"), back=count(paid - total, "coin"),
               a=seller, b=buyer)
    if len(lines) > 1:
        talk.append(g.say("\"[All together|In all] that makes {sums}, so {total}.\"",
                          sums=" and ".join(number(x) for x in lines), **end))
    talk.append(g.say("{b} gave {a} {paid} and got {back} back. \"[Goodbye|See you soon|Thank you], {b}!\" "
                      "said {a}.", **end))
    return document(g.say("[at the shop|{b} goes shopping|shopping in {a.town}|at the {a.job.place}]", **end), *talk)


def way_talk(g):
    t = g.pick(TOWN)
    a, b = g.pick(t.people), g.pick(PEOPLE)
    turns = [g.fill("[turn left|turn right|go straight on|go up the steps|cross the square|go down the lane] "
                    "[at|after|behind] the " + x) for x in g.sample(CORNERS, 3)]
    s = dict(a=a, b=b, t=t, x=turns[0], y=turns[1], z=turns[2], n=number(g.between(3, 20)))
    return document(
        g.say("[asking the way|the way to the {t.landmark}|a stranger in {t}]", **s),
        g.say("\"Excuse me, how do I get to the {t.landmark}?\" asked {b}.", **s),
        g.say("\"[That is easy|It is not far|Listen well],\" said {a}, who lives in {t}. \"First {x}. Then {y}. "
              "[At last|After that] {z}. [You will be there in|It takes] {n} minutes.\"", **s),
        g.say("\"[Let me repeat|So], first {x}, then {y}, and then {z}?\" said {b}.", **s),
        g.say("\"[Exactly|Quite right|Yes]. And [don't forget to look at our|while you are here, buy some of our] "
              "{t.known}!\"", **s))


def letter(g):
    a = g.pick(PEOPLE)
    b = g.pick([p for p in PEOPLE if p.town is not a.town])
    season = g.pick(list(SEASONS))
    o = g.pick(THING)
    s = dict(a=a, b=b, o=o, sky=g.pick(SKY[season]), season=season, day=g.pick(DAYS), days=number(g.between(2, 9)),
             colour=g.pick(COLOURS), x=g.pick(ANIMAL))
    body = g.sample(("{a.pet}, my {a.pet.kind}, is [well|ill|getting old] and eats [a lot|nothing|too much].",
                     "I still like {a.hobby}, as you know. Do you still like {b.hobby}?",
                     "[yesterday|last week|on {day}] {f} and I ate {a.food}[, my favourite|].",
                     "a(n) {x} came into our garden and {x.sound}. It lives {x.lives}, I think.",
                     "please give my love to {b.friend} and to your {b.pet.kind}, {b.pet}.",
                     "the {a.town.landmark} looks [beautiful|very old|strange] at this time of the year.",
                     "have you got much work as a(n) {b.job}?" if b.grown else
                     "how is school? You must be {bage} now."),
                    g.between(2, 4))
    s.update(f=a.friend, bage=number(b.age))
    day = g.between(1, 28)
    return document(
        g.say("{a.town}, {d} {month}", d=day, month=g.pick(SEASONS[season]), **s),
        g.say("Dear {b},", **s),
        paragraph(g.say("[thank you for your letter.|how are you?|I hope you are well.] It is {season} here in "
                        "{a.town}, and we have {sky}.", **s), *[g.say(m, **s) for m in body]),
        g.say("[I am sending you|With this letter comes|For your birthday I have] a(n) {colour} {o}. It will be "
              "good for {o.use}. [Next month|In {days} days|On {day}] I will come to {b.town}, and then you can show "
              "me the {b.town.landmark}.", **s),
        g.say("[Yours|With love|Your friend|Many greetings],", **s), a.name)


def diary(g):
    a = g.pick(PEOPLE)
    month, first, start = g.pick(MONTHS), g.between(1, 20), g.between(0, 6)
    season = next(k for k, v in SEASONS.items() if month in v)
    o, lines = g.pick(THING), []
    for i in range(g.between(3, 5)):
        s = dict(a=a, f=a.friend, o=o, x=g.pick(ANIMAL), d=g.pick(DISH), sky=g.pick(SKY[season]), month=month)
        what = g.pick(("We had {sky}. I stayed at home with {a.pet}.", "I saw a(n) {x} today. It {x.sound}.",
                       "{f} came, and we made {d}[. It was good|. It tasted awful|].",
                       "{f} and I went to the {a.town.landmark}.", "I could not find my {o}. It should be {o.kept}.",
                       "Today I worked at the {a.job.place} all day." if a.grown else "At school we learned to count.",
                       "I was [ill|tired|bored] and slept all day.", "{sky} all day."))
        lines.append(f"{DAYS[(start + i) % 7]}, {month} {first + i}: " + g.say(what, **s))
    return document(g.say("[{a}'s diary|from the diary of {a}|my days in {a.town}]", a=a), *lines)


def weather_report(g):
    season = g.pick(list(SEASONS))
    low, high = DEGREES[season]
    lines = []
    for t in g.sample(TOWN, g.between(3, 5)):
        n = g.between(low, high)
        lines.append(g.say("{t}: {sky}, {n} °C[.|, wind from the [north|south|east|west].|, and the same tomorrow.]",
                           t=t, sky=g.pick(SKY[season]), n=n))
    return document(g.say("the weather for {day}, {d} {month}", day=g.pick(DAYS), d=g.between(1, 28),
                          month=g.pick(SEASONS[season])), *lines,
                    g.say("[It will get warmer|It will stay the same|It will get colder] [by|until] {day}.",
                          day=g.pick(DAYS)))


def sums(g):
    lines = []
    for _ in range(g.between(4, 8)):
        a, b, kind = g.between(1, 20), g.between(1, 12), g.between(0, 3)
        if kind == 0:
            lines.append(f"{number(a)} plus {number(b)} is {number(a + b)}")
        elif kind == 1:
            lines.append(f"{number(a + b)} minus {number(b)} is {number(a)}")
        elif kind == 2:
            lines.append(f"{number(a % 10 + 1)} times {number(b % 10 + 1)} is {number((a % 10 + 1) * (b % 10 + 1))}")
        else:
            lines.append(f"half of {number(2 * b)} is {number(b)}")
    return document(g.pick(("Sums", "Arithmetic", "Homework", "Let us calculate")), *[capital(x) + "." for x in lines])


def word_problem(g):
    a = g.pick(CHILDREN)
    what = g.pick(GOODS)[0] if g.chance(0.5) else g.pick(THING).name
    n, m, k = g.between(4, 20), g.between(1, 9), g.between(1, 9)
    left = n + m
    k = min(k, left)
    s = dict(a=a, b=a.friend, n=count(n, what), m=number(m), k=number(k), left=number(left), end=count(left - k, what),
             whats=plural(what), many=number(n), rest=number(left - k))
    return document(
        g.say("[a problem|how many {whats}?|{a}'s {whats}]", **s),
        g.say("{a} has {n}. [{b}|{a.his} aunt|{a.his} uncle] gives {a.him} {m} more. Then {a.he} [loses|gives "
              "away|sells] {k}. How many {whats} does {a} have now?", **s),
        g.say("{many} plus {m} is {left}. {left} minus {k} is {rest}. So {a} has {end}[ now|].", **s))


def counting(g):
    start, step, n = g.between(0, 60), g.pick((1, 1, 2, 3, 5, 10, -1)), g.between(6, 12)
    start = max(start, n) if step < 0 else start
    row = [start + i * step for i in range(n)]
    if g.chance(0.5):
        text = capital(joined(number(x) for x in row)) + "."
    else:
        text = ", ".join(str(x) for x in row) + "."
    name = {1: "Counting", -1: "Counting down"}.get(step, f"Counting by {number(abs(step))}")
    return document(name, text)


def riddle(g):
    if g.chance(0.5):
        a = g.pick(ANIMAL)
        hints = g.sample((f"I live {a.lives}.", f"I eat {a.eats}.", f"I am covered with {a.cover}.",
                          f"I have {number(a.legs) if a.legs else 'no'} legs.",
                          f"My young one is called {article(a.young)} {a.young}.", f"I am {a.size}."), 4)
        answer = f"{article(a.name)} {a}"
    else:
        o = g.pick(THING)
        hints = g.sample((f"I am made of {o.material}.", f"You can find me {o.kept}.", f"I am good for {o.use}.",
                          f"I cost {count(o.price, 'coin')}."), 3)
        answer = f"{article(o.name)} {o}"
    asker = g.pick(PEOPLE)
    return document(g.pick(("A riddle", "What am I?", "Guess", "Who am I?")), paragraph(*hints, "What am I?"),
                    g.say("[\"You are {x}!\" said {b}. \"Right,\" said {a}.|The answer: {x}.|I am {x}.]", x=answer,
                          a=asker, b=asker.friend))


def timetable(g):
    t = g.pick(TOWN)
    hour, lines = g.between(5, 8), []
    stops = [t, t.next, t.next.next, t.next.next.next]
    for stop in stops:
        lines.append(f"{stop}: {hour % 24}:{g.between(0, 11) * 5:02d}")
        hour += stop.hours
    lines, half = lines[:g.between(3, 4)], g.between(2, 20)
    return document(g.say("[the coach|the boat|the mail cart] from {t} on {day}", t=t, day=g.pick(DAYS)), *lines,
                    g.some(0.5, "the ticket costs {n}, and children pay {m}.", n=count(2 * half, "coin"),
                           m=count(half, "coin")))


def shopping_list(g):
    a = g.pick(PEOPLE)
    items = g.sample(GOODS, g.between(3, 6))
    numbers = [g.between(1, 9) for _ in items]
    lines = [f"- {n} {what if n == 1 else plural(what)}: {n * price} coin{'s' if n * price > 1 else ''}"
             for n, (what, price) in zip(numbers, items)]
    total = sum(n * price for n, (_, price) in zip(numbers, items))
    return document(g.say("[{a}'s list|for the market in {a.town} on {a.town.market}|shopping list]", a=a), *lines,
                    f"Total: {total} coins")


def poem(g):
    a, o = g.pick(PEOPLE), g.pick(THING)
    colour = g.pick(COLOURS)
    w = g.sample(g.pick(RHYMES), 4)
    lead = g.pick(("I saw", "I heard", "I dreamed of", "I thought of", "We sang of"))
    lines = [f"{lead} {g.fill(x, o=o, c=colour, t=a.town)} {end}" for x, end in zip(g.sample((
        "the {c} {o} and the", "{t} and the long, long", "the {o.made} {o} in the", "the old {t} road and the",
        "a(n) {o} that sang of the", "my own true friend and the", "the {c} hills and the",
        "the {t.landmark} and the"), 4), w)]
    return document(g.say("[a song of {t}|the {c} {o}|{a}'s song]", t=a.town, c=colour, o=o, a=a),
                    *[x + end for x, end in zip(lines, (",", ",", ",", "."))])


def opposites(g):
    pairs = [x.split() for x in g.sample(OPPOSITES, g.between(3, 6))]
    style = g.pick(("The opposite of {} is {}.", "What is not {} is {}.", "{} and {} are opposites."))
    return document("Opposites", *[capital(style.format(a, b)) for a, b in pairs])


def calendar(g):
    i, j, k = g.between(0, 11), g.between(0, 6), g.between(1, 12)
    season = next(k for k, v in SEASONS.items() if MONTHS[i] in v)
    facts = (f"{MONTHS[i]} is a month of {season}.", f"After {MONTHS[i]} comes {MONTHS[(i + 1) % 12]}.",
             f"Before {MONTHS[i]} comes {MONTHS[i - 1]}.", f"{DAYS[j]} comes after {DAYS[j - 1]}.",
             f"The day after {DAYS[j]} is {DAYS[(j + 1) % 7]}.", f"The {ORDINALS[k]} month is {MONTHS[k - 1]}.",
             f"The months of {season} are {joined(SEASONS[season])}.")
    return document("The calendar", paragraph(*g.sample(facts, g.between(3, 5))))


def comparison(g):
    a, b, c = g.sample(PEOPLE, 3)
    order = sorted((a, b, c), key=lambda p: p.age)
    x, y = g.sample(THING, 2)
    s = dict(a=a, b=b, c=c, old=order[2], young=order[0], n=number(a.age), m=number(b.age), k=number(c.age),
             dear=max(x, y, key=lambda o: o.price), cheap=min(x, y, key=lambda o: o.price),
             more=count(abs(x.price - y.price), "coin"))
    same = order[0].age == order[1].age or order[1].age == order[2].age
    return document(
        g.say("[who is older?|{a}, {b} and {c}|three ages]", **s),
        paragraph(g.say("{a} is {n} years old, {b} is {m} and {c} is {k}.", **s),
                  "" if same else g.say("so {old} is the oldest and {young} is the youngest of the three.", **s),
                  "" if x.price == y.price else
                  g.say("{old} bought a(n) {dear} and {young} bought a(n) {cheap}. The {dear} costs {more} more.",
                        **s)))


def question_answers(g):
    """Question and answer pairs about the small world; generate_text.py and train.py print them in two forms."""
    p, t, a, o, d, j = g.pick(PEOPLE), g.pick(TOWN), g.pick(ANIMAL), g.pick(THING), g.pick(DISH), g.pick(JOB)
    n, m = g.between(1, 12), g.between(1, 12)
    pool = (("Where does {p} live?", "{p} lives in {p.town}, {p.town.water}."),
            ("What is {p}'s favourite colour?", "{p}'s favourite colour is {p.colour}."),
            ("Who is {p}'s best friend?", "{p}'s best friend is {p.friend}."),
            ("Does {p} have a pet?", "Yes, {p.he} has a(n) {p.pet.kind} called {p.pet}."),
            ("What does {p} like?", "{p} likes {p.hobby}, and {p.his} favourite food is {p.food}."),
            ("What is {t} known for?", "{t} is known for its {t.known}."),
            ("Tell me about {t}.", "{t} is a(n) {t.kind} {t.water}. You should see the {t.landmark}."),
            ("When is the market in {t}?", "The market in {t} is held on {t.market}s."),
            ("How far is it from {t} to {t.next}?", "The way from {t} to {t.next} takes {hours}."),
            ("What does a(n) {a} eat?", "A(n) {a} eats {a.eats}."),
            ("Where does a(n) {a} live?", "It lives {a.lives}."),
            ("What is a young {a} called?", "A young {a} is called a(n) {a.young}."),
            ("What is a(n) {o} good for?", "A(n) {o} is good for {o.use}."),
            ("How much is a(n) {o}?", "A(n) {o} costs {price}."), ("What do I need for {d}?", "You need {d.parts}."),
            ("How long does {d} take?", "About {d.minutes} minutes."), ("What does a(n) {j} do?", "A(n) {j} {j.does}."),
            ("What is {n} plus {m}?", "{n} plus {m} is {nm}."), ("What is {n} times {m}?", "{n} times {m} is {ntm}."))
    slots = dict(p=p, t=t, a=a, o=o, d=d, j=j, hours=count(t.hours, "hour"), price=count(o.price, "coin"), n=number(n),
                 m=number(m), nm=number(n + m), ntm=number(n * m))
    return [tuple(g.say(x, **slots) for x in pair) for pair in g.sample(pool, g.between(1, 4))]


def plan(g):
    a = g.pick(PEOPLE)
    day, hour, pet = g.between(0, 6), g.between(2, 8), g.pick(ANIMAL)
    s = dict(a=a, b=a.friend, no=DAYS[day], yes=DAYS[(day + g.between(1, 3)) % 7], h=number(hour), h2=number(hour + 1),
             hobby=g.pick(HOBBIES), d=g.pick(DISH), pet=pet)
    return document(
        g.say("[{a} and {b} make a plan|a plan for {yes}|what shall we do?]", **s),
        g.say("{a}: [Shall we meet|Have you got time|Are you free] on {no}[|, {b}]?", **s),
        g.say("{b}: [Sorry|I'm afraid not|No], on {no} I [am ill|must help at home|have to look after {b.pet}]. "
              "What about {yes}?", **s),
        g.say("{a}: {yes} is [fine|good|even better]. At {h} o'clock [by|near] the {a.town.landmark}?", **s),
        g.say("{b}: [Better|Rather|Let us say] at {h2}. And what shall we do?", **s),
        g.say("{a}: [We could|Let us] [look for a(n) {pet}|make {d}|talk about {hobby}|visit {a.pet}, "
              "my {a.pet.kind}].", **s),
        g.say("{b}: [Good|All right|Wonderful]! So {yes} at {h2}, [by|near] the {a.town.landmark}.", **s))


KINDS = ((about_town, 4), (about_animal, 4), (about_person, 5), (about_trade, 2), (about_things, 3), (recipe, 4),
         (shop_talk, 5), (way_talk, 3), (letter, 5), (diary, 4), (weather_report, 3), (sums, 2), (word_problem, 3),
         (counting, 1), (riddle, 3), (timetable, 2), (shopping_list, 3), (poem, 2), (opposites, 1), (calendar, 1),
         (comparison, 2), (plan, 3))
