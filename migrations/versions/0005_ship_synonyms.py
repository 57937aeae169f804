"""The synonyms that come with the gateway; rows of the operator's own are left alone."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Whoever types what stands before the colon also finds what has all the words of one of those
# behind it. Words are written as a search cuts them: "s&p 500" is `sp 500`, "A's" `as`.
ONE_WAY = """
    xbt: bitcoin
    jpow: powell
    cpi: inflation
    core cpi: core inflation
    pce: inflation
    gdp: gross domestic product
    nfp: payrolls
    nonfarm: payrolls
    jobs report: payrolls
    rate cut: fed decision, fed rate
    rate hike: fed decision, fed rate
    interest rates: fed rate, fed decision
    jobless rate: unemployment
    spx: sp 500
    spy: sp 500
    sp500: sp 500
    qqq: nasdaq
    ndx: nasdaq 100
    oil: wti
    crude: wti
    gas prices: gas price
    petrol: gas
    djt: trump
    potus: president
    vp: vice president
    scotus: supreme court
    gop: republican, republicans
    dem: democrat, democratic
    dems: democratic, democrats
    democrat: democratic
    democrats: democratic
    republicans: republican
    pm: prime minister
    usa: united states, us
    america: united states, us
    us: united states
    uk: united kingdom
    britain: united kingdom, uk
    eu: european union
    uae: united arab emirates
    prc: china
    doj: justice department
    ai: artificial intelligence
    openai: open ai
    open ai: openai
    chatgpt: openai
    gpt: openai
    claude: anthropic
    twitter: x
    tweets: tweet, posts
    nfl: pro football
    nba: pro basketball
    wnba: pro womens basketball
    mlb: pro baseball
    nhl: pro hockey
    ncaaf: college football
    cfb: college football
    ncaab: college basketball
    cbb: college basketball
    march madness: ncaa tournament, college basketball
    superbowl: super bowl
    super bowl: pro football champion
    stanley cup: pro hockey champion
    world series: pro baseball champion
    nba finals: pro basketball champion
    epl: premier league
    prem: premier league
    ucl: champions league
    uel: europa league
    cl: champions league
    f1: formula 1
    wc: world cup
    fifa: world cup
    football: soccer
    futbol: soccer
    cs2: counter strike
    007: james bond
    gta 6: gta vi
    gta vi: gta 6
    csgo: cs2
    cs: cs2
    lol: league of legends
    man utd: manchester united
    man united: manchester united
    man city: manchester city
    spurs: tottenham, san antonio
    barca: barcelona
    psg: paris saint germain
    oscars: academy awards, oscar
    oscar: academy award
    emmys: emmy
    grammys: grammy
    rt: rotten tomatoes
    goty: game of the year
    temp: temperature
    temps: temperature
    weather: temperature, rain, snow
    quake: earthquake
    cat 5: category 5
    cold: lowest temperature
    hot: highest temperature
    rainfall: rain
    snowfall: snow
    election: elections
"""

# Each of these finds the others, too.
ALIKE = """
    new york, ny, nyc, new york city
    los angeles, la, lax
    san francisco, sf, sfo
    washington dc, dc
    philadelphia, philly, phl
    chicago, chi
    kansas city, kc
    las vegas, vegas, lv
    new orleans, nola
    oklahoma city, okc
    salt lake city, slc
    san antonio, satx
    miami, mia
    boston, bos
    denver, den
    houston, hou
    dallas, dal
    atlanta, atl
    austin, aus
    seattle, sea
    detroit, det
    phoenix, phx
    minneapolis, msp
    ripple, xrp
    federal reserve, fed, fomc
    bitcoin, btc
    ethereum, eth
    solana, sol
    dogecoin, doge
"""

# Games are between cities, followed by a letter where a city has two teams.
TEAMS = """
    arizona: cardinals, diamondbacks, dbacks, coyotes
    atlanta: falcons, hawks, braves
    baltimore: ravens, orioles
    boston: celtics, red sox, bruins
    brooklyn: nets
    buffalo: bills, sabres
    calgary: flames
    carolina: panthers, hurricanes
    charlotte: hornets
    chicago: bears, bulls, blackhawks
    chicago c: cubs
    chicago ws: white sox
    cincinnati: bengals, reds
    cleveland: browns, cavaliers, cavs, guardians
    colorado: rockies, avalanche
    columbus: blue jackets
    dallas: cowboys, mavericks, mavs, stars
    denver: broncos, nuggets
    detroit: lions, pistons, tigers, red wings
    edmonton: oilers
    florida: panthers
    golden state: warriors, dubs
    green bay: packers
    houston: texans, rockets, astros
    indiana: pacers
    indianapolis: colts
    jacksonville: jaguars, jags
    kansas city: chiefs, royals
    las vegas: raiders
    vegas: golden knights
    los angeles a: angels
    los angeles c: chargers, clippers
    los angeles d: dodgers
    los angeles k: kings
    los angeles l: lakers
    los angeles r: rams
    anaheim: ducks
    memphis: grizzlies
    miami: dolphins, heat, marlins
    milwaukee: bucks, brewers
    minnesota: vikings, timberwolves, wolves, twins, wild
    montreal: canadiens, habs
    nashville: predators, preds
    new england: patriots, pats
    new jersey: devils
    new orleans: saints, pelicans
    new york g: giants
    new york i: islanders
    new york j: jets
    new york k: knicks
    new york: knicks
    new york m: mets
    new york r: rangers
    new york y: yankees
    as: athletics
    oklahoma city: thunder
    orlando: magic
    ottawa: senators
    philadelphia: eagles, sixers, 76ers, phillies, flyers
    phoenix: suns
    pittsburgh: steelers, pirates, penguins
    portland: trail blazers, trailblazers, blazers
    sacramento: kings
    san antonio: spurs
    san diego: padres
    san francisco: 49ers, niners, giants
    san jose: sharks
    seattle: seahawks, mariners, kraken
    st louis: cardinals, blues
    tampa bay: buccaneers, bucs, rays, lightning
    tennessee: titans
    texas: rangers
    toronto: raptors, blue jays, maple leafs, leafs
    utah: jazz, mammoth
    vancouver: canucks
    washington: commanders, wizards, nationals, nats, capitals, caps
    winnipeg: jets
"""

SYNONYMS = sa.table(
    "search_synonyms",
    sa.column("typed", sa.Text),
    sa.column("means", sa.Text),
    sa.column("shipped", sa.Boolean),
)


def pairs() -> list[tuple[str, str]]:
    """What is typed, and what it finds as well."""
    found = [(typed, means) for typed, several in _lines(ONE_WAY) for means in several]
    for line in ALIKE.strip().splitlines():
        names = _parts(line)
        found += [(one, other) for one in names for other in names if one != other]
    for city, teams in _lines(TEAMS):
        found += [pair for team in teams for pair in ((team, city), (city, team))]
    return sorted({pair for pair in found if pair[0] != pair[1]})


def _lines(text: str) -> list[tuple[str, list[str]]]:
    parted = [line.partition(":") for line in text.strip().splitlines()]
    return [(before.strip(), _parts(after)) for before, _, after in parted]


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def upgrade() -> None:
    rows = [{"typed": typed, "means": means, "shipped": True} for typed, means in pairs()]
    op.bulk_insert(SYNONYMS, rows)


def downgrade() -> None:
    op.execute("DELETE FROM search_synonyms WHERE shipped")
