"""Which answers are graded, by whom, and what a person does about a group of unknown queries."""
