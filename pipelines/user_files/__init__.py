"""Users' files as they have them: tables and exports of other tools in, rows of ours out; knows nothing of the query pool."""
