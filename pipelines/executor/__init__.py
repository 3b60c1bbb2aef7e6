"""Where the work that grows is done: in this process, or on a Ray cluster; the one door to Ray (`door.chosen`)."""
