"""What users bring: their queries, answers and prices, and logs of other tools, checked and taken into data/."""
