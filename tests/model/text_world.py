"""The small world that generate_text.py writes about: its towns, people, animals, things, dishes and trades.

Its facts are the same in every text (they don't depend on the seed), so a model can learn them by heart.
"""
from text_grammar import Gen, Person, Words

SEASONS = {"spring": ("March", "April", "May"), "summer": ("June", "July", "August"),
           "autumn": ("September", "October", "November"), "winter": ("December", "January", "February")}
MONTHS = ("January February March April May June July August September October November December").split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
COLOURS = "red blue green yellow white black brown grey purple orange pink golden silver".split()

# name | kind | water with its preposition | known for | landmark | market day
TOWNS = """
Applecombe|village|on the river Sill|apple cider|crooked windmill|Monday
Birchley|town|on the river Tarn|wooden spoons|clock tower|Tuesday
Corran|harbour town|by the Grey Sea|smoked herring|white lighthouse|Friday
Dunmere|village|by Lake Miro|reed baskets|stone boathouse|Saturday
Elderwick|town|on the river Osk|blue cheese|covered bridge|Thursday
Fennport|harbour town|by the Grey Sea|sailing ships|rope market|Wednesday
Gullhaven|village|by the Bay of Bells|oyster soup|tide mill|Sunday
Hazelbrook|village|on the river Sill|hazelnut cake|old inn|Friday
Inkerton|city|on the river Osk|printed books|great library|Monday
Juniper Hill|village|on the river Tarn|goat cheese|chapel on the rock|Wednesday
Kestrel Bay|harbour town|by the Bay of Bells|painted kites|cliff stairs|Saturday
Larkfield|town|on the river Marl|wheat bread|granary|Thursday
Millbeck|village|on the river Marl|woollen blankets|water wheel|Tuesday
Northpool|city|by Lake Miro|glass lamps|ice palace|Friday
Oakhollow|village|on the river Osk|oak barrels|hollow tree|Sunday
Pebblesea|harbour town|by the Grey Sea|sea salt|long pier|Monday
Quarrydown|town|on the river Tarn|slate roofs|stone giant|Saturday
Rushwater|village|by Lake Miro|candles|floating market|Wednesday
Saltmarsh|village|by the Bay of Bells|duck feathers|wooden causeway|Thursday
Thornby|town|on the river Marl|rose jam|walled garden|Tuesday
Underhill|village|on the river Sill|mushroom pies|cave gate|Friday
Velbury|city|on the river Marl|silk ribbons|opera house|Saturday
Willowend|village|on the river Sill|willow flutes|singing fountain|Sunday
Yarrow|town|by Lake Miro|herb tea|hospital garden|Monday
"""

# trade | place of work | what they do (he ...s) | the same in the past | a tool
JOBS = """
baker|bakery|bakes bread and rolls|baked bread and rolls|rolling pin
teacher|school|teaches children to read|taught children to read|piece of chalk
farmer|farm|grows wheat and barley|grew wheat and barley|plough
fisher|boathouse|catches trout and pike|caught trout and pike|net
carpenter|workshop|makes tables and chairs|made tables and chairs|saw
smith|forge|makes horseshoes and nails|made horseshoes and nails|hammer
tailor|tailor's shop|sews coats and shirts|sewed coats and shirts|needle
doctor|hospital|helps sick people|helped sick people|leather bag
gardener|garden|plants roses and tulips|planted roses and tulips|spade
miller|mill|grinds grain into flour|ground grain into flour|sack
painter|studio|paints pictures of the sea|painted pictures of the sea|brush
cook|kitchen|cooks soups and stews|cooked soups and stews|ladle
potter|pottery|makes bowls and jugs|made bowls and jugs|wheel
weaver|weaving room|weaves rugs and blankets|wove rugs and blankets|loom
shepherd|hillside|looks after sheep|looked after sheep|crook
postman|post office|brings letters and parcels|brought letters and parcels|bicycle
librarian|library|lends books to readers|lent books to readers|stamp
clockmaker|clock shop|mends clocks and watches|mended clocks and watches|magnifying glass
beekeeper|meadow|collects honey|collected honey|smoke pot
musician|concert hall|plays the violin|played the violin|bow
sailor|harbour|sails to far islands|sailed to far islands|compass
nurse|clinic|takes care of old people|took care of old people|thermometer
mason|quarry|builds walls and bridges|built walls and bridges|chisel
grocer|grocer's shop|sells fruit and vegetables|sold fruit and vegetables|pair of scales
"""

# animal | sound (past) | eats | lives | cover | legs | young | size
ANIMALS = """
dog|barked|meat and bones|in a kennel|fur|4|puppy|middle-sized
cat|meowed|fish and mice|in the house|fur|4|kitten|small
cow|mooed|grass and hay|in a barn|hair|4|calf|large
horse|neighed|oats and hay|in a stable|hair|4|foal|large
sheep|bleated|grass and clover|on the hillside|wool|4|lamb|middle-sized
goat|bleated|leaves and thistles|in the mountains|hair|4|kid|middle-sized
pig|grunted|turnips and acorns|in a sty|skin|4|piglet|middle-sized
hen|clucked|grain and worms|in a coop|feathers|2|chick|small
duck|quacked|water plants and snails|by the pond|feathers|2|duckling|small
goose|hissed|grass and seeds|by the river|feathers|2|gosling|middle-sized
rabbit|squeaked|carrots and clover|in a burrow|fur|4|bunny|small
mouse|squeaked|cheese and crumbs|in a hole in the wall|fur|4|pup|tiny
owl|hooted|mice and beetles|in a hollow tree|feathers|2|owlet|small
fox|yelped|hens and berries|in a den|fur|4|cub|middle-sized
wolf|howled|deer and hares|in the deep forest|fur|4|pup|large
bear|growled|honey and salmon|in a cave|fur|4|cub|large
frog|croaked|flies and gnats|in the pond|skin|4|tadpole|tiny
crow|cawed|seeds and beetles|in the tall trees|feathers|2|chick|small
donkey|brayed|hay and thistles|in a shed|hair|4|foal|large
squirrel|chattered|nuts and seeds|in a tree|fur|4|kit|small
hedgehog|snuffled|snails and beetles|under a hedge|spines|4|hoglet|small
parrot|screeched|seeds and fruit|in a cage by the window|feathers|2|chick|small
swan|trumpeted|water plants|on the lake|feathers|2|cygnet|large
seal|barked|herring and squid|on the rocks by the sea|fur|0|pup|large
deer|bellowed|leaves and grass|at the edge of the forest|hair|4|fawn|large
snake|hissed|frogs and mice|under a stone|scales|0|snakelet|small
bee|buzzed|nectar and pollen|in a hive|fine hair|6|larva|tiny
spider|made no sound at all|flies and moths|in a web|fine hair|8|spiderling|tiny
"""

# thing | material | where it is kept | what it is for | price in coins
THINGS = """
key|iron|on a hook by the door|opening doors|3
kite|paper|in the attic|flying on windy days|5
lantern|tin|on the windowsill|giving light at night|9
book|paper|on the shelf|reading in the evening|8
umbrella|silk|in the hall|keeping off the rain|11
basket|willow|under the table|carrying fruit|6
drum|leather|in the corner|making music|14
flute|wood|in a long box|playing tunes|10
clock|brass|above the fireplace|telling the time|25
map|paper|in the drawer|finding the way|7
ring|silver|in a small box|wearing on a finger|30
hat|felt|on a peg|keeping the sun off|9
scarf|wool|in the wardrobe|keeping warm|7
ladder|wood|behind the shed|climbing up to the roof|18
bell|bronze|over the gate|calling people to dinner|12
knife|steel|in the kitchen drawer|cutting bread|6
teapot|clay|in the cupboard|making tea|8
mirror|glass|on the wall|looking at yourself|15
blanket|wool|on the bed|sleeping warmly|13
ball|rubber|in the toy chest|playing games|4
boat|wood|at the jetty|crossing the water|90
saddle|leather|in the stable|riding a horse|40
mug|clay|beside the sink|drinking milk|2
candle|wax|in the candlestick|reading after dark|1
broom|straw|behind the door|sweeping the floor|3
bucket|tin|by the well|carrying water|4
coin|copper|in a purse|paying in the shop|1
telescope|brass|on the balcony|watching the stars|60
doll|cloth|on the pillow|playing house|9
sledge|wood|in the barn|sliding down the hill|16
compass|brass|in the top pocket|finding north|20
jar|glass|in the pantry|keeping jam|2
pen|steel|on the desk|writing letters|3
violin|maple wood|in a black case|playing at the dance|75
anchor|iron|in the bow of the boat|holding a ship in place|35
whistle|tin|on a string|calling the dog|2
glove|leather|in the coat pocket|keeping hands warm|5
chair|oak|beside the stove|sitting down|12
"""

# dish | ingredients | verb | vessel | minutes
DISHES = """
apple pie|apples, flour, butter, sugar and cinnamon|bake|round tin|40
onion soup|onions, butter, broth, salt and stale bread|simmer|big pot|30
pancakes|flour, milk, eggs and a pinch of salt|fry|flat pan|10
mushroom pie|mushrooms, cream, flour, butter and parsley|bake|pie dish|45
fish stew|trout, potatoes, leeks, cream and dill|simmer|copper pot|35
honey cake|honey, flour, eggs, ginger and butter|bake|square tin|50
pea soup|dried peas, carrots, bacon and onions|simmer|big pot|90
plum jam|plums, sugar and lemon juice|boil|copper pot|60
potato salad|potatoes, eggs, mustard and chives|mix|glass bowl|20
cheese omelette|eggs, cheese, butter and pepper|fry|flat pan|8
lamb stew|lamb, barley, turnips and thyme|simmer|iron pot|120
oat biscuits|oats, butter, sugar and raisins|bake|flat tray|15
tomato sauce|tomatoes, garlic, olive oil and basil|simmer|small pot|25
rice pudding|rice, milk, sugar and vanilla|simmer|iron pot|40
pumpkin soup|pumpkin, cream, ginger and broth|simmer|big pot|30
walnut bread|flour, yeast, walnuts, salt and water|bake|long tin|55
cabbage rolls|cabbage, rice, minced meat and tomatoes|simmer|wide pan|70
cherry tart|cherries, flour, butter, sugar and almonds|bake|round tin|35
"""
HOBBIES = ("collecting stamps|fishing|singing in the choir|painting birds|playing chess|knitting socks|"
           "swimming in cold water|carving wood|reading old books|growing beans|walking in the hills|"
           "watching the stars|dancing|telling jokes|rowing|writing poems").split("|")
WOMEN = ("Ada Alice Amy Anna Bella Beth Carla Chloe Clara Daisy Dora Edith Ella Emma Eva Fay Flora Freya Grace Hana "
         "Hazel Ida Iris Ivy Jane Judith Kate Lena Lily Lucy Mabel Maria Maya Mina Nell Nora Olive Pearl Petra Rosa "
         "Ruth Sally Sofia Tess Vera Wendy Yara Zoë").split()
MEN = ("Adam Albert Alfie Amir André Ben Boris Carl Colin Daniel David Edgar Eli Emil Felix Finn Frank George Hans "
       "Harry Hugo Ivan Jack Jacob Jonas Karl Leo Louis Lucas Marco Martin Max Milo Nils Noah Oscar Otto Paul Peter "
       "Ralph Robin Sam Simon Theo Thomas Tim Victor Walter").split()
PETS = ("Biscuit Button Captain Clover Domino Fern Ginger Hopper Jasper Juno Merlin Mistle Nutmeg Patch Pepper Pip "
        "Pirate Plum Rusty Shadow Snowy Star Tiger Whiskers").split()
PET_KINDS = "dog cat rabbit parrot hen goat mouse duck".split()
TRAITS = "brave|shy|kind|clever|curious|cheerful|patient|stubborn|quiet|honest|lazy|careful".split("|")


def table(text, *columns):
    """Records from a table above: the first column is the name."""
    rows = (line.split("|") for line in text.strip().splitlines())
    return [Words(row[0], **dict(zip(columns, row[1:]))) for row in rows]


def people(towns, jobs):
    """Two grown-ups and two children in each town, all with fixed facts; the grown-ups are friends, and so are
    the children."""
    g = Gen("the people of the small world")
    women, men = g.sample(WOMEN, len(WOMEN)), g.sample(MEN, len(MEN))
    trades = g.sample(jobs + jobs, 2 * len(jobs))
    everyone = []
    for town in towns:
        town.people = []
        for i in range(4):
            female = i % 2 == 0
            grown = i >= 2
            town.people.append(Person(
                (women if female else men).pop(), female, town=town, grown=grown,
                age=g.between(24, 70) if grown else g.between(6, 12), job=trades.pop() if grown else None,
                noun=("woman" if female else "man") if grown else ("girl" if female else "boy"),
                food=g.pick(DISH), colour=g.pick(COLOURS), hobby=g.pick(HOBBIES), trait=g.pick(TRAITS),
                pet=Words(g.pick(PETS), kind=g.pick(PET_KINDS))))
        for i in range(4):
            town.people[i].friend = town.people[i ^ 1]
        everyone += town.people
    return everyone


TOWN = table(TOWNS, "kind", "water", "known", "landmark", "market")
JOB = table(JOBS, "place", "does", "did", "tool")
ANIMAL = table(ANIMALS, "sound", "eats", "lives", "cover", "legs", "young", "size")
THING = table(THINGS, "material", "kept", "use", "price")
DISH = table(DISHES, "parts", "verb", "vessel", "minutes")
for _row in THING:
    _row.price = int(_row.price)
for _row in ANIMAL:
    _row.legs = int(_row.legs)
PEOPLE = people(TOWN, JOB)
CHILDREN = [p for p in PEOPLE if not p.grown]
ADULTS = [p for p in PEOPLE if p.grown]
for _i, _town in enumerate(TOWN):
    _town.next = TOWN[(_i * 7 + 5) % len(TOWN)]
    _town.hours = _i * 5 % 9 + 1
    _town.bird = ("owl", "crow", "swan", "duck", "goose", "gull")[_i * 5 % 6]
for _row in THING:
    _row.made = {"wood": "wooden", "wool": "woollen", "maple wood": "maple"}.get(_row.material, _row.material)
for _row in DISH:
    _row.was, _row.verb_s = "were" if _row.name.endswith("s") else "was", "are" if _row.name.endswith("s") else "is"
    _row.list = _row.parts.replace(" and ", ", ").split(", ")
