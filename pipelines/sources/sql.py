"""Out of domain: SQLite queries to write, checked by running them; the verifier `sql` compares rows with those of a reference query."""

# ruff: noqa: S608 - the queries are the product here, made from constants

from collections.abc import Iterator

from pipelines.sources.row import SourceQuery, packed

TABLES: tuple[tuple[str, str, str, str, str], ...] = (
    # table, text column, group column, number column, rows;...
    ("employees", "name", "department", "salary", "Ann,sales,3200;Bo,it,4100;Cy,it,3900;Di,sales,2800;Ed,hr,3000"),
    ("books", "title", "genre", "pages", "Dune,novel,600;Emma,novel,470;Cosmos,science,365;Ulysses,novel,730;Gut,science,270"),
    ("cities", "city", "country", "population", "Lyon,France,520;Nice,France,340;Turin,Italy,850;Bari,Italy,320;Bonn,Germany,330"),
    ("products", "product", "category", "price", "pen,office,2;desk,office,180;lamp,home,35;sofa,home,400;mug,kitchen,7"),
    ("players", "player", "team", "goals", "Ada,reds,12;Bea,blues,7;Cleo,reds,3;Dora,blues,9;Elle,greens,15"),
    (
        "movies",
        "title",
        "director",
        "year",
        "Alien,Scott,1979;Gladiator,Scott,2000;Jaws,Spielberg,1975;Lincoln,Spielberg,2012;Heat,Mann,1995",
    ),
    ("songs", "song", "artist", "seconds", "Sun,Ray,210;Moon,Ray,185;Rain,Mia,240;Snow,Mia,200;Wind,Leo,150"),
    ("flights", "flight", "airline", "distance", "F1,Air,800;F2,Air,1200;F3,Sky,400;F4,Sky,2300;F5,Jet,950"),
    ("students", "student", "class", "score", "Ian,A,71;Jo,B,88;Kim,A,93;Lou,B,64;Moe,C,80"),
)


def rows() -> Iterator[SourceQuery]:
    """Eight queries over each of the tables."""
    for table, item, group, number, data in TABLES:
        cells = [row.split(",") for row in data.split(";")]
        values = ", ".join(f"('{name}', '{kind}', {amount})" for name, kind, amount in cells)
        setup = f"CREATE TABLE {table} ({item} TEXT, {group} TEXT, {number} INTEGER); INSERT INTO {table} VALUES {values};"
        some_group, some_number = cells[0][1], sorted(int(cell[2]) for cell in cells)[2]
        for asked, query in _asked((table, item, group, number), some_group, some_number):
            text = f"Table {table}({item}, {group}, {number}). Write one SQLite query: {asked}"
            yield SourceQuery("sql-queries", "sql", text, "verifier", packed({"name": "sql", "setup": setup, "query": query}))


def _asked(names: tuple[str, str, str, str], some_group: str, some_number: int) -> tuple[tuple[str, str], ...]:
    """What is asked in words, and a query that gives it."""
    table, item, group, number = names
    return (
        ("count the rows.", f"SELECT COUNT(*) FROM {table}"),
        (f"list every {item} with {group} '{some_group}'.", f"SELECT {item} FROM {table} WHERE {group} = '{some_group}'"),
        (f"list every {item} whose {number} is greater than {some_number}.", f"SELECT {item} FROM {table} WHERE {number} > {some_number}"),
        (f"the highest {number}.", f"SELECT MAX({number}) FROM {table}"),
        (f"each distinct {group}.", f"SELECT DISTINCT {group} FROM {table}"),
        (f"the {item} with the lowest {number}.", f"SELECT {item} FROM {table} ORDER BY {number} LIMIT 1"),
        (f"the average {number} for each {group}, as {group} and average.", f"SELECT {group}, AVG({number}) FROM {table} GROUP BY {group}"),
        (f"each {group} that has more than one row.", f"SELECT {group} FROM {table} GROUP BY {group} HAVING COUNT(*) > 1"),
    )
