"""Leagues, their teams and some of their players."""

from dataclasses import dataclass


@dataclass(frozen=True)
class League:
    """One league: how its tickers begin, who plays, and how games of it go."""

    key: str
    name: str
    sport: str
    url: str
    teams: dict[str, str]
    players: list[str]
    points: float  # both sides' usual score together
    feat: str
    draws: bool = False
    shard: int = 0

    @property
    def kind(self) -> str:
        """What a structured strike of this league points at."""
        return f"{self.sport.lower()}_team"


def _teams(text: str) -> dict[str, str]:
    return dict(_pair(entry) for entry in text.split(","))


def _pair(entry: str) -> tuple[str, str]:
    key, _, name = entry.strip().partition(" ")
    return key, name


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


NFL = _teams("""ARI Arizona, ATL Atlanta, BAL Baltimore, BUF Buffalo, CAR Carolina, CHI Chicago,
CIN Cincinnati, CLE Cleveland, DAL Dallas, DEN Denver, DET Detroit, GB Green Bay, HOU Houston,
IND Indianapolis, JAC Jacksonville, KC Kansas City, LV Las Vegas, LAC Los Angeles C,
LAR Los Angeles R, MIA Miami, MIN Minnesota, NE New England, NO New Orleans, NYG New York G,
NYJ New York J, PHI Philadelphia, PIT Pittsburgh, SF San Francisco, SEA Seattle, TB Tampa Bay,
TEN Tennessee, WAS Washington""")
NBA = _teams("""ATL Atlanta, BOS Boston, BKN Brooklyn, CHA Charlotte, CHI Chicago, CLE Cleveland,
DAL Dallas, DEN Denver, DET Detroit, GSW Golden State, HOU Houston, IND Indiana, LAC Los Angeles C,
LAL Los Angeles L, MEM Memphis, MIA Miami, MIL Milwaukee, MIN Minnesota, NOP New Orleans,
NYK New York, OKC Oklahoma City, ORL Orlando, PHI Philadelphia, PHX Phoenix, POR Portland,
SAC Sacramento, SAS San Antonio, TOR Toronto, UTA Utah, WAS Washington""")
MLB = _teams("""AZ Arizona, ATL Atlanta, BAL Baltimore, BOS Boston, CHC Chicago C, CWS Chicago W,
CIN Cincinnati, CLE Cleveland, COL Colorado, DET Detroit, HOU Houston, KC Kansas City,
LAA Los Angeles A, LAD Los Angeles D, MIA Miami, MIL Milwaukee, MIN Minnesota, NYM New York M,
NYY New York Y, ATH Athletics, PHI Philadelphia, PIT Pittsburgh, SD San Diego, SF San Francisco,
SEA Seattle, STL St. Louis, TB Tampa Bay, TEX Texas, TOR Toronto, WSH Washington""")
NHL = _teams("""ANA Anaheim, BOS Boston, BUF Buffalo, CGY Calgary, CAR Carolina, CHI Chicago,
COL Colorado, CBJ Columbus, DAL Dallas, DET Detroit, EDM Edmonton, FLA Florida, LA Los Angeles,
MIN Minnesota, MTL Montréal, NSH Nashville, NJ New Jersey, NYI New York I, NYR New York R,
OTT Ottawa, PHI Philadelphia, PIT Pittsburgh, SJ San Jose, SEA Seattle, STL St. Louis,
TB Tampa Bay, TOR Toronto, UTA Utah, VAN Vancouver, VGK Vegas, WSH Washington, WPG Winnipeg""")
MLS = _teams("""ATL Atlanta, AUS Austin, MTL Montréal, CLT Charlotte, CHI Chicago, CIN Cincinnati,
COL Colorado, CLB Columbus, DAL Dallas, DC D.C. United, HOU Houston, SKC Sporting KC, LAG Galaxy,
LAFC Los Angeles, MIA Inter Miami, MIN Minnesota, NSH Nashville, NYC New York City, ORL Orlando,
PHI Philadelphia, POR Portland, RSL Salt Lake, SD San Diego, SEA Seattle, TOR Toronto""")
EPL = _teams("""ARS Arsenal, AVL Aston Villa, BOU Bournemouth, BRE Brentford, BRI Brighton,
BUR Burnley, CHE Chelsea, CRY Crystal Palace, EVE Everton, FUL Fulham, LEE Leeds, LFC Liverpool,
MCI Manchester City, MUN Manchester Utd, NEW Newcastle, NFO Nottingham, SUN Sunderland,
TOT Tottenham, WHU West Ham, WOL Wolverhampton""")
LALIGA = _teams("""ALA Alavés, ATH Athletic Bilbao, ATM Atlético Madrid, BAR Barcelona, BET Betis,
CEL Celta Vigo, ELC Elche, ESP Espanyol, GET Getafe, GIR Girona, LEV Levante, MLL Mallorca,
OSA Osasuna, OVI Oviedo, RAY Rayo Vallecano, RMA Real Madrid, RSO Real Sociedad, SEV Sevilla,
VAL València, VIL Villarreal""")
BUNDESLIGA = _teams("""AUG Augsburg, LEV Bayer Leverkusen, BMU Bayern München, DOR Dortmund,
FRA Frankfurt, FRE Freiburg, HSV Hamburg, HEI Heidenheim, HOF Hoffenheim, KOE Köln, LEI Leipzig,
MAI Mainz, BMG M'gladbach, STP St. Pauli, STU Stuttgart, UNB Union Berlin, WER Werder Bremen,
WOB Wolfsburg""")
BRASILEIRO = _teams("""CAM Atlético Mineiro, BAH Bahia, BOT Botafogo, CEA Ceará, COR Corinthians,
CRU Cruzeiro, FLA Flamengo, FLU Fluminense, FOR Fortaleza, GRE Grêmio, INT Internacional,
PAL Palmeiras, SAN Santos, SAO São Paulo, VAS Vasco, VIT Vitória""")
WNBA = _teams("""ATL Atlanta, CHI Chicago, CON Connecticut, DAL Dallas, GSV Golden State,
IND Indiana, LVA Las Vegas, LAS Los Angeles, MIN Minnesota, NYL New York, PHX Phoenix,
SEA Seattle, WAS Washington""")
COLLEGE = _teams("""ALA Alabama, ARIZ Arizona, AUB Auburn, BYU BYU, CLEM Clemson, DUKE Duke,
FLA Florida, UGA Georgia, GONZ Gonzaga, HOU Houston, IND Indiana, IOWA Iowa, KU Kansas,
UK Kentucky, LSU LSU, LOU Louisville, MIAF Miami (FL), MICH Michigan, MSU Michigan St., UNC N.C.,
ND Notre Dame, OSU Ohio St., OKLA Oklahoma, ORE Oregon, PSU Penn St., PUR Purdue, TENN Tennessee,
TEX Texas, TAMU Texas A&M, UCLA UCLA, USC USC, UVA Virginia, WASH Washington, WIS Wisconsin""")
TENNIS = _teams("""SIN Sinner, ALC Alcaraz, DJO Đoković, ZVE Zverev, FRI Fritz, DEM de Minaur,
MUS Musetti, SHE Shelton, RUN Rune, FAA Auger-Aliassime, RUU Ruud, MED Medvedev, TSI Tsitsipas,
LEH Lehečka, MEN Menšík, FIL Fils, DRA Draper, BUB Bublik, CER Cerúndolo, NAK Nakashima""")
WOMEN = _teams("""SAB Sabalenka, SWI Świątek, GAU Gauff, PEG Pegula, RYB Rybakina, AND Andreeva,
KEY Keys, PAO Paolini, ZHE Zheng, NAV Navarro, BAD Badosa, MUC Muchová, SVI Svitolina,
VON Vondroušová, ANI Anisimova, BEN Bencic, OSA Osaka, KRE Krejčíková""")
FIGHTERS = _teams("""TOP Topuria, MAK Makhachev, PER Pereira, ANK Ankalaev, ASP Aspinall,
CHI Chimaev, DVA Dvalishvili, OMA O'Malley, VOL Volkanovski, LOP Lopes, PAN Pantoja, SHE Shevchenko,
ZHA Zhang, GAN Gane, OLI Oliveira, GAE Gaethje, PIM Pimblett, TSA Tsarukyan""")
ESPORTS = _teams("""VIT Vitality, SPI Spirit, MOU MOUZ, FAL Falcons, NAV NAVI, FAZ FaZe, G2 G2,
AUR Aurora, FUR FURIA, LIQ Liquid, AST Astralis, GL GamerLegion, T1 T1, GEN Gen.G, HLE Hanwha,
BLG Bilibili, TES Top Esports, KC Karmine Corp""")
CRICKET = _teams("""IND India, AUS Australia, ENG England, NZ New Zealand, SA South Africa,
PAK Pakistan, SL Sri Lanka, BAN Bangladesh, WI West Indies, AFG Afghanistan, IRE Ireland,
ZIM Zimbabwe""")

BALL = _names("""Ketel Marte, José Ramírez, Ronald Acuña Jr., Shohei Ohtani, Aaron Judge, Juan Soto,
Yordan Álvarez, Elly De La Cruz, Bobby Witt Jr., Julio Rodríguez, Mookie Betts, Kyle Tucker,
Fernando Tatís Jr., Vladimir Guerrero Jr., Francisco Lindor, Gunnar Henderson""")
HOOPS = _names("""Luka Dončić, Nikola Jokić, Shai Gilgeous-Alexander, Giannis Antetokounmpo,
Jayson Tatum, Anthony Edwards, Victor Wembanyama, LeBron James, Stephen Curry, Kevin Durant,
Bojan Bogdanović, Alperen Şengün, Domantas Sabonis, Tyrese Maxey, Jalen Brunson, Cade Cunningham""")
GRID = _names("""Patrick Mahomes, Josh Allen, Lamar Jackson, Joe Burrow, Saquon Barkley,
Justin Jefferson, Ja'Marr Chase, CeeDee Lamb, Amon-Ra St. Brown, Bijan Robinson, Derrick Henry,
Travis Kelce, George Kittle, Puka Nacua, Jahmyr Gibbs, Brock Bowers""")
PITCH = _names("""Erling Haaland, Kylian Mbappé, Vinícius Júnior, Bukayo Saka, Cole Palmer,
Viktor Gyökeres, Raphinha, Pedri, Lamine Yamal, Harry Kane, Florian Wirtz, Lionel Messi,
Luis Suárez, Martin Ødegaard, Son Heung-min, Gabriel Magalhães""")
ICE = _names("""Connor McDavid, Leon Draisaitl, Nathan MacKinnon, Cale Makar, Auston Matthews,
David Pastrňák, Juraj Slafkovský, Aleksander Barkov, Kirill Kaprizov, Sidney Crosby,
Mikko Rantanen, Tim Stützle, Filip Forsberg, Jack Hughes""")

LEAGUES = [
    League("NFL", "Pro Football", "Football", "https://www.nfl.com/", NFL, GRID, 45, "touchdowns"),
    League("NBA", "Pro Basketball (M)", "Basketball", "https://www.nba.com/", NBA, HOOPS, 226,
           "threes", shard=3),
    League("MLB", "Pro Baseball", "Baseball", "https://www.mlb.com/", MLB, BALL, 9, "hits",
           shard=3),
    League("NHL", "Pro Hockey", "Hockey", "https://www.nhl.com/", NHL, ICE, 6, "points"),
    League("MLS", "MLS", "Soccer", "https://www.mlssoccer.com/", MLS, PITCH, 3, "goals", True),
    League("EPL", "Premier League", "Soccer", "https://www.premierleague.com/", EPL, PITCH, 3,
           "goals", True),
    League("LALIGA", "La Liga", "Soccer", "https://www.laliga.com/", LALIGA, PITCH, 3,
           "goals", True),
    League("BUNDESLIGA", "Bundesliga", "Soccer", "https://www.bundesliga.com/", BUNDESLIGA, PITCH,
           3, "goals", True),
    League("BRASILEIRO", "Brasileirão Série A", "Soccer", "https://www.cbf.com.br/", BRASILEIRO,
           PITCH, 2, "goals", True),
    League("WNBA", "Pro Basketball (W)", "Basketball", "https://www.wnba.com/", WNBA, HOOPS, 165,
           "threes", shard=3),
    League("NCAAF", "College Football", "Football", "https://www.ncaa.com/", COLLEGE, GRID, 52,
           "touchdowns"),
    League("NCAAMB", "College Basketball (M)", "Basketball", "https://www.ncaa.com/", COLLEGE,
           HOOPS, 146, "threes", shard=3),
    League("ATP", "ATP Tennis", "Tennis", "https://www.atptour.com/", TENNIS,
           list(TENNIS.values()), 23, "aces", shard=3),
    League("WTA", "WTA Tennis", "Tennis", "https://www.wtatennis.com/", WOMEN,
           list(WOMEN.values()), 21, "aces", shard=3),
    League("UFC", "UFC", "UFC", "https://www.ufc.com/", FIGHTERS, list(FIGHTERS.values()), 4,
           "takedowns"),
    League("CS2", "CS2", "Esports", "https://www.hltv.org/", ESPORTS, list(ESPORTS.values()), 3,
           "maps"),
    League("CRICKET", "International Cricket", "Cricket", "https://www.icc-cricket.com/", CRICKET,
           list(CRICKET.values()), 320, "wickets"),
]  # fmt: skip
