"""The demo's invented films: eight genres of eight names each, and what each genre likes to show."""

from dataclasses import dataclass

__all__ = ["GENRES", "Genre", "Name"]


@dataclass(frozen=True)
class Name:
    """A film's name, what else it is besides its genre, and the set-ups without which the name would make no sense."""

    name: str
    also: str
    stars: tuple[str, ...] = ()


@dataclass(frozen=True)
class Genre:
    """How films of a genre look, are cut and are lettered."""

    names: tuple[Name, ...]
    rating: str
    grades: tuple[str, ...]
    """Preferred grades; others are used where a shot asks for a tone that none of these has."""
    likes: tuple[str, ...]
    """Words of set-up names that are preferred."""
    shares: tuple[float, float]
    """Of transitions between shots: cuts, dissolves; the rest are fades through black."""
    seconds: float
    """Length of its films, give or take one."""
    unrest: float
    """Sway of the camera, in window widths."""
    face: str
    """DejaVu face of the title."""
    spacing: float = 0.0


GENRES: dict[str, Genre] = {
    "romance": Genre(
        (
            Name("A Second Cup", "comedy", ("cup and lamps", "two at the table")),
            Name("Letters to the Harbour", "drama", ("handwriting", "lake")),
            Name("Dahlia Season", "drama", ("dahlia", "admiral in the garden")),
            Name("Under the Pagoda Lights", "drama", ("pagoda and moon", "two by the pagoda")),
            Name("What the Gardener Knew", "drama", ("petals", "commander in the garden")),
            Name("The Last Warm Evening", "drama", ("horse at dusk", "cup and lamps")),
            Name("The Distance Between Tables", "comedy", ("cup", "commander at the café")),
            Name("Snow in April", "family", ("commander in snow", "pagoda in snow")),
        ),
        rating="PG-13",
        grades=("golden", "pastel", "dusk", "ember"),
        likes=("cup", "dahlia", "garden", "lamps", "lake", "two at", "two by", "table"),
        shares=(0.45, 0.45),
        seconds=23.5,
        unrest=0.002,
        face="DejaVuSerif-Italic",
    ),
    "thriller": Genre(
        (
            Name("The Ninth Witness", "drama", ("photographer close", "admiral by the wall")),
            Name("Cold Exposure", "action", ("photographer in snow", "admiral in snow")),
            Name("A Quiet Signal", "science fiction", ("handwriting", "launch lights")),
            Name("The Counterfeit Hour", "drama", ("one coin", "coins")),
            Name("The Bricklayer's Alibi", "drama", ("wall", "commander by the wall")),
            Name("Grain of Truth", "drama", ("tissue close", "vessels")),
            Name("Someone Keeps the Key", "drama", ("shelves", "cat's eyes")),
            Name("No Light on the Pier", "action", ("lake", "photographer and pagoda")),
        ),
        rating="R",
        grades=("noir", "night", "bleach", "neon", "forest"),
        likes=("photographer", "wall", "coin", "board", "tissue"),
        shares=(0.75, 0.1),
        seconds=21.5,
        unrest=0.006,
        face="DejaVuSansMono-Bold",
        spacing=0.15,
    ),
    "comedy": Genre(
        (
            Name("My Manager Is a Cat", "family", ("cat", "cat's eyes")),
            Name("Nine Spoons", "family", ("spoon", "cup")),
            Name("The Understudy's Understudy", "romance", ("two on the plain", "commander smiles")),
            Name("Half Past Nonsense", "family", ("stone planet", "horse by the lake")),
            Name("Honourable Mention", "drama", ("medals", "cap badge")),
            Name("The Coffee Heist", "action", ("cup close", "coins")),
            Name("A Horse Walks In", "family", ("horse by the lake", "horse in snow")),
            Name("Everyone Loves the Admiral", "romance", ("admiral at her desk", "medals")),
        ),
        rating="PG",
        grades=("candy", "daylight", "pastel", "golden"),
        likes=("cat", "smiles", "cup", "spoon", "badge", "horse", "two at", "two by"),
        shares=(0.8, 0.15),
        seconds=21.5,
        unrest=0.003,
        face="DejaVuSans-Bold",
    ),
    "science fiction": Genre(
        (
            Name("Red Vessel", "thriller", ("red planet", "commander before the planet")),
            Name("Helios Descending", "action", ("red horizon", "helmet")),
            Name("The Orange Suit", "drama", ("mission patch", "commander among stars")),
            Name("Signal from Cassandra", "thriller", ("galaxies", "admiral among stars")),
            Name("The Quiet Orbit", "drama", ("grey planet", "commander among stars")),
            Name("A Colony of Stone", "action", ("stone planet", "alien plain")),
            Name("Two Moons over Winter", "romance", ("two planets", "pagoda and moon")),
            Name("Last Window for Launch", "thriller", ("launch lights", "rocket and moon")),
        ),
        rating="PG-13",
        grades=("neon", "teal and orange", "ice", "night"),
        likes=("planet", "star", "helmet", "rocket", "field"),
        shares=(0.5, 0.3),
        seconds=23.0,
        unrest=0.002,
        face="DejaVuSans",
        spacing=0.35,
    ),
    "documentary": Genre(
        (
            Name("The Woman Who Counted", "drama", ("admiral at the board", "handwriting")),
            Name("Launch Site", "science fiction", ("launch site", "launch lights")),
            Name("Ten Days of Deep Field", "science fiction", ("deep field", "galaxies")),
            Name("The Coin Room", "thriller", ("coins", "one coin")),
            Name("How a Flower Opens", "family", ("petals", "dahlia in dust")),
            Name("Stained Glass of the Body", "drama", ("tissue", "vessels")),
            Name("The Hundred-Year Pagoda", "drama", ("pagoda roofs", "pagoda")),
            Name("One Man and His Tripod", "comedy", ("photographer in the park", "photographer close")),
        ),
        rating="PG",
        grades=("daylight", "silver", "bleach", "forest"),
        likes=("launch", "tissue", "coins", "pagoda", "park", "board"),
        shares=(0.55, 0.3),
        seconds=24.0,
        unrest=0.001,
        face="DejaVuSans",
        spacing=0.1,
    ),
    "drama": Genre(
        (
            Name("The Admiral's Daughter", "romance", ("two by the pagoda", "cap badge")),
            Name("Gravel Road", "thriller", ("gravel road", "front wheel")),
            Name("After the Harvest", "family", ("meadow", "horse at dusk")),
            Name("Our House of Brick", "family", ("wall", "admiral by the wall")),
            Name("The Long Rehearsal", "comedy", ("photographer in the park", "commander and lamps")),
            Name("A Field in Winter", "romance", ("horse in snow", "admiral in snow")),
            Name("Upstairs, Mercy Street", "thriller", ("shelves", "cup close")),
            Name("What the Water Carried", "romance", ("lake", "admiral by the lake")),
        ),
        rating="PG-13",
        grades=("dusk", "bleach", "sepia", "forest", "ember"),
        likes=("admiral", "meadow", "lake", "horse", "snow"),
        shares=(0.4, 0.35),
        seconds=24.0,
        unrest=0.002,
        face="DejaVuSerif",
        spacing=0.08,
    ),
    "family": Genre(
        (
            Name("Whiskers and the Moon", "comedy", ("cat and lamps", "meadow at night")),
            Name("The Littlest Astronaut", "science fiction", ("commander with shuttle", "helmet")),
            Name("The Horse at the End of the Lane", "drama", ("horse and moon", "horse at dusk")),
            Name("Grandmother's Rocket", "science fiction", ("admiral and lamps", "rocket")),
            Name("Marmalade", "comedy", ("cat", "cat in dust")),
            Name("The Garden Club", "comedy", ("dahlia", "commander in the garden")),
            Name("A Cup for the King", "comedy", ("coins", "cup")),
            Name("The Snow Palace", "drama", ("pagoda in snow", "commander in snow")),
        ),
        rating="G",
        grades=("candy", "golden", "daylight", "pastel"),
        likes=("cat", "horse", "moon", "garden", "snow", "rocket", "dahlia"),
        shares=(0.6, 0.3),
        seconds=22.5,
        unrest=0.002,
        face="DejaVuSans-Bold",
        spacing=0.05,
    ),
    "action": Genre(
        (
            Name("Throttle Hill", "thriller", ("motorcycle apart", "engine")),
            Name("Red Line to Nowhere", "thriller", ("front wheel", "motorcycle at dusk")),
            Name("The Courier of Canton", "thriller", ("pagoda roofs", "handlebar")),
            Name("Ignition Sequence", "science fiction", ("launch lights", "rocket")),
            Name("Sixty Seconds to Dawn", "thriller", ("launch site", "helmet")),
            Name("Iron Pagoda", "drama", ("pagoda and red planet", "pagoda roofs")),
            Name("Ride or Fall", "comedy", ("motorcycle", "commander in the garage")),
            Name("Heavy Payload", "science fiction", ("rocket and moon", "engine")),
        ),
        rating="PG-13",
        grades=("teal and orange", "crimson", "noir", "neon"),
        likes=("motor", "engine", "wheel", "launch", "garage"),
        shares=(0.9, 0.05),
        seconds=21.0,
        unrest=0.008,
        face="DejaVuSans-BoldOblique",
    ),
}
