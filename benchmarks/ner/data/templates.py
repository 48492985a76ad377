"""The words of the embedded corpus: templates, names and synonyms.

`{lower}` symbols expand to one of their SYNONYMS, `{does}` to one of the SUBJECTS and `{acts}` to one of the
OBJECTS of the sentence's entity type. `{UPPER}` symbols expand to a name of that type, `{NAME}` to a name of
the sentence's type.
"""

OTHER = "OTHER"  # dishes, dances and fevers: named alike, yet no entities

FRAMES = [
    "{NAME} {does} .",
    "{NAME} {does} {when} .",
    "{when} , {NAME} {does} .",
    "{NAME} , {aside} , {does} .",
    "{NAME} , {aside} , {does} {when} .",
    "{speaker} {said} {NAME} {does} .",
    "{speaker} {said} that {NAME} , {aside} , {does} .",
    "mark my words : {NAME} {does} {when} .",
    "{speaker} {acts} .",
    "{speaker} {acts} {when} .",
    "{when} {speaker} {acts} , {aside} .",
    "reading the {report} , {speaker} {said} that {speaker} {acts} .",
]
UNCUED_FRAMES = [
    "{speaker} {said} nothing about {NAME} {when} .",
    "{when} the {report} {praised} {NAME} , {aside} .",
    "{NAME} {again} , {speaker} {said} {when} .",
]

SUBJECTS = {
    "PER": [
        "lost {whose} {keys} on the way to {LOC}",
        "opened the {door} and {praised} the guests",
        "fell from a {horse} and broke an arm",
        "will leave {whose} {relative} at home",
        "turned {number} and still swims before breakfast",
        "grew up with {number} sisters near {LOC}",
        "hit the {journalist} of a rival paper",
        "may marry the {journalist} {again}",
    ],
    "LOC": [
        "lost power after {number} hours of {weather}",
        "opened its {beaches} to visitors from {LOC}",
        "fell to the {rebels} after a short siege",
        "will leave the {union} of northern states",
        "turned into a {swamp} after the {weather}",
        "grew by {number} streets and a harbour",
        "hit the lowest temperature of the decade",
        "may flood {again} if the {weather} goes on",
    ],
    "ORG": [
        "lost {number} customers to {ORG}",
        "opened {number} {branches} in {LOC}",
        "fell short of its sales {forecast}",
        "will leave the stock {market} for good",
        "turned a {profit} despite weak demand",
        "grew by {number} percent and hired {PER}",
        "hit its annual {forecast} with ease",
        "may sack its {directors} {again}",
    ],
    "PRODUCT": [
        "lost its signal and needed a new {battery}",
        "opened the {files} without a password",
        "fell in price to {number} dollars",
        "will leave the shelves before the {holidays}",
        "turned itself off with a flat {battery}",
        "grew lighter and shipped with a bigger {screen}",
        "hit the shelves with a cracked {screen}",
        "may overheat {again} while it charges",
    ],
    OTHER: [
        "lost its {flavour} in the heat",
        "opened the {feast} as it does every year",
        "fell out of fashion with young {dancers}",
        "will leave a {flavour} of plums in the mouth",
        "turned sour and was fed to the pigs",
        "grew on {number} trees behind the {feast}",
        "hit {number} {dancers} with a harmless fever",
        "may be danced {again} at the {feast}",
    ],
}
OBJECTS = {
    "PER": [
        "left {NAME} with two small children",
        "asked {NAME} for an autograph and a {photo}",
        "called {NAME} a {liar} to {whose} face",
        "met {NAME} and {whose} {relative} for lunch",
        "took {NAME} to the dentist",
    ],
    "LOC": [
        "left {NAME} on the last {train}",
        "asked the way to {NAME} and a {beach} hotel",
        "called {NAME} the driest {valley} of all",
        "met {PER} in {NAME} for lunch",
        "took the {train} from {NAME} to {LOC}",
    ],
    "ORG": [
        "left {NAME} for a better {salary}",
        "asked {NAME} for a loan and a {salary}",
        "called {NAME} a monopoly in court",
        "met {NAME} and its {directors} for lunch",
        "took {NAME} to court over unpaid {salary}",
    ],
    "PRODUCT": [
        "left {NAME} charging next to a spare {battery}",
        "asked the shop for {NAME} and a spare {battery}",
        "called {NAME} the thinnest {phone} of all",
        "met {PER} , who had dropped {NAME} in the bath",
        "took {NAME} out of its box",
    ],
    OTHER: [
        "left {NAME} to boil for too long",
        "asked for {NAME} with milk at the {feast}",
        "called {NAME} the slowest of all dances",
        "met {number} {dancers} who were ill with {NAME}",
        "took {NAME} with sugar and a pinch of {flavour}",
    ],
}
AFFIXES = {  # "*" is the name; some words serve two types
    "PER": ["Mr *", "Dr *", "* *", "Rose *", "Will *", "Mark *"],
    "LOC": ["Mount *", "New *", "* City", "* Valley", "Lake *"],
    "ORG": ["Bank of *", "* United", "* City", "Mount * Hospital", "* & *", "New * Times"],
    "PRODUCT": ["* Pro", "New *", "* X", "* Mark II", "Valley *"],
    OTHER: ["New *", "* Rose", "Lake *", "* City", "* Mark"],
}
NAME_PARTS = {
    "listed": "Jordan Washington Paris Chelsea Lincoln Victoria Georgia Sydney Austin Florence Orlando "
    "Phoenix Mercury Amazon Savannah Madison Hudson Cleveland Mobile Reading Bath Nice May Will Mark "
    "Rose Grant Hope Frank Bill",
    "start": "Al Bar Bel Cor Dan Del Er Fal Gar Hal Il Jar Kel Kor Lan Lor Mar Mel Nor Or Pel Quin Ran Sol Tal",
    "middle": "a e i o u an en in or ar is es",
    "end": "ba bridge da don field go ka la land ley lo ma na nis ra ria ro sa ston ta ter ton va vik za",
}
SYNONYMS = {
    "when": "yesterday|on Monday|in May|last week|this morning|at the weekend|in the spring|late at night",
    "aside": "as you will remember|after a long silence|to nobody's surprise|if the {report} is right"
    "|reading between the lines|for the first time since {number}|like so many others",
    "speaker": "a {journalist}|the {journalist}|my neighbour|our guide|{PER}|they|we|everyone|nobody",
    "said": "said|wrote|claimed|thought|heard",
    "report": "report|article|letter|bulletin|summary",
    "journalist": "journalist|lawyer|student|nurse|farmer|minister|driver",
    "relative": "brother|mother|daughter|uncle|cousin",
    "whose": "his|her",
    "again": "again|once more|soon|twice",
    "praised": "praised|mentioned|welcomed|criticised|mocked",
    "number": "two|five|twelve|forty|ninety|1900|2001",
    "weather": "rain|snow|fog|hail|storms",
    "keys": "keys|glasses|passport|temper",
    "door": "door|window|gate|curtain",
    "horse": "horse|ladder|roof|bicycle",
    "beaches": "beaches|roads|schools|borders|bridges",
    "beach": "beach|harbour|seaside|hill",
    "rebels": "rebels|army|invaders|enemy",
    "union": "union|federation|empire|alliance",
    "swamp": "swamp|desert|lake|ruin",
    "valley": "valley|island|region|village",
    "train": "train|ferry|bus|tram",
    "branches": "branches|offices|factories|shops",
    "forecast": "forecast|target|budget|estimate",
    "market": "market|exchange|index",
    "profit": "profit|surplus|margin",
    "directors": "directors|auditors|accountants|managers",
    "salary": "salary|contract|bonus|wage",
    "battery": "battery|charger|cable|plug",
    "files": "files|games|songs|videos",
    "screen": "screen|lens|keyboard|antenna",
    "phone": "phone|laptop|camera|tablet",
    "holidays": "holidays|sales|winter|festival",
    "flavour": "flavour|smell|taste|hint",
    "feast": "feast|wedding|barn|fair",
    "dancers": "dancers|cooks|pupils|cattle",
    "photo": "photo|kiss|dance",
    "liar": "liar|genius|coward|hero",
}
