"""Whether traffic is still what a scorer was trained on and keeps its promises: tests, groups of unknown queries, verdict."""
